"""A clock that the sandbox hides: systemd-timedated is asked over the system bus."""

import pathlib
import socket
import subprocess

from contract_case import METERS, ContractTest
from harness import wait_until
from modem_bus import Bus

HERE = pathlib.Path(__file__).resolve().parent
WITHOUT_ADJTIMEX = ["/usr/bin/python3", str(HERE / "without_adjtimex.py")]


class HiddenClock(ContractTest):
    def setUp(self):
        super().setUp()
        self.bus = Bus(self.directory)
        self.addCleanup(self.bus.stop)
        self.device.write_config(METERS)
        text = self.device.config_file.read_text()
        self.device.config_file.write_text(text.replace('trust = "always"', 'trust = "synchronised"'))

    def serve(self):
        """A timedated that says no."""
        service = subprocess.Popen(["/usr/bin/python3", str(HERE / "time_daemon.py")], text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, env=self.bus.environment)
        self.addCleanup(service.communicate)
        self.addCleanup(service.kill)
        self.assertEqual(service.stdout.readline(), "ready\n")
        return service

    def start(self):
        return self.device.start(self.bus.environment, WITHOUT_ADJTIMEX)

    def trusted(self):
        return self.device.get("/status")["clock"]["trusted"]

    def logged(self, event):
        return f"event={event}" in self.device.log_file.read_text()

    def test_is_trusted_once_timedated_says_so_and_not_before(self):
        timedated = self.serve()
        self.start()
        self.report(3)
        self.assertEqual(timedated.stdout.readline(), "no\n")
        self.assertFalse(self.trusted())
        self.assertEqual(self.counted(), 0)  # counted, and without a day
        timedated.stdin.write("yes\n")
        timedated.stdin.flush()
        wait_until("the clock is trusted", self.trusted, 60)
        wait_until("what was counted has its day", lambda: self.counted() == 3, 20)
        self.assertFalse(self.logged("clock_not_told"))
        self.terminate()

    def test_nobody_to_ask_is_told_and_trusts_nothing(self):
        self.start()
        wait_until("it is logged", lambda: self.logged("clock_not_told"), 30)
        self.assertFalse(self.trusted())
        self.terminate()

    def test_a_bus_that_is_not_there_is_told(self):
        self.bus.stop()
        self.start()
        wait_until("it is logged", lambda: self.logged("clock_not_told"), 30)
        self.assertFalse(self.trusted())
        self.terminate()

    def test_a_bus_that_never_answers_holds_up_no_stop(self):
        self.bus.stop()
        self.bus.path.unlink()
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(self.bus.path))
            silent.listen(1)
            silent.settimeout(20)
            self.start()
            connection, _ = silent.accept()
            with connection:
                self.assertFalse(self.trusted())
                self.terminate()
        self.assertFalse(self.logged("clock_not_told"))  # it was still waiting

    def test_whoever_may_ask_the_kernel_does_not_ask_timedated(self):
        """The control: so what the others see is the sandbox's doing."""
        self.device.start(self.bus.environment)
        self.report(1)
        self.terminate()
        self.assertFalse(self.logged("clock_not_told"))
