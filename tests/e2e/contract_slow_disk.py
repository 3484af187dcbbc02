"""A disk that takes its time: it holds up the acknowledgements of what is not on it yet, and nothing else.

strace stops each fdatasync before it begins, for as long as the test holds it: no time is measured.
"""

import pathlib
import signal
import socket
import subprocess

from contract_case import METERS, ContractTest
from frames import Lost
from harness import wait_until

FOR_EVER_MICROSECONDS = 3_600_000_000


class SlowDisk(ContractTest):
    def hold(self):
        """From now on no sync ends until release()."""
        pid = self.device.process.pid
        expression = ["-e", "trace=fdatasync", "-e", f"inject=fdatasync:delay_enter={FOR_EVER_MICROSECONDS}"]
        command = ["strace", "-f", "-qq", "-o", "/dev/null", *expression, "-p", str(pid)]
        self.tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.addCleanup(self.release)

        def attached():
            if self.tracer.poll() is not None:
                self.fail(f"strace must be allowed to attach: {self.tracer.stderr.read()}")
            tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
            return all(f"TracerPid:\t{self.tracer.pid}\n" in (task / "status").read_text() for task in tasks)

        wait_until("strace is attached to every thread", attached, 20)

    def release(self):
        self.tracer.kill()  # the kernel lets go of what a dead tracer held
        self.tracer.wait()
        self.tracer.stderr.close()

    def start_a_commit_that_hangs(self):
        """The connection that waits for it."""
        self.hold()
        waiting = self.connect()
        waiting.send(self.batch(1))
        wait_until("the event is taken", lambda: self.status()["counting"]["events"] >= 1, 20)
        return waiting

    def status(self):
        return self.device.get("/status")

    def commits(self):
        return self.status()["journal"]["commits"]

    def test_only_the_acknowledgement_waits(self):
        self.start()
        commits = self.commits()
        waiting = self.start_a_commit_that_hangs()
        other, fresh = self.connect(), self.connect()
        for number in range(50):  # ingest goes on, over every input
            self.assertEqual(other.ask(self.batch(100, ack=1)).counted, 100)
            self.assertEqual(fresh.ask(self.batch(1, ack=1, producer=f"p{number}", sequence=1)).counted, 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lines:
            lines.sendto(b"api.call:3|c|#subscription:sub_1", str(self.device.statsd))
        wait_until("the line is counted", lambda: self.status()["counting"]["events"] >= 5_052, 20)
        for path in ("/healthz", "/status", "/metrics", "/operator/buckets", "/operator/outbox", "/operator/balances"):
            self.assertEqual(self.device.request("GET", path)[0], 200, path)
        self.assertEqual(self.device.ctl("buckets")[0], 0)
        self.assertIn(self.device.ctl("status")[0], (0, 4))
        self.assertEqual(self.commits(), commits)  # all of it was answered while nothing was committed
        self.assertFalse(waiting.readable(0))
        self.release()
        self.assertEqual(waiting.receive().counted, 1)
        self.report(1)
        self.assertEqual(self.counted(), 5_052)
        self.assertEqual(self.counted("api-usd"), 3)

    def test_the_watchdog_is_not_fed(self):
        """For as long as nothing is written: the loop alone is no progress."""
        watchdog = self.make_watchdog()
        self.device.write_config(METERS)
        self.device.start(watchdog.environment)
        waiting = self.start_a_commit_that_hangs()
        self.wait_for_seconds_of_the_daemon(2)
        watchdog.told()  # the last that were on their way
        self.wait_for_seconds_of_the_daemon(2)
        self.assertEqual(watchdog.told(), [])
        self.release()
        self.assertEqual(waiting.receive().counted, 1)
        watchdog.wait()

    def wait_for_seconds_of_the_daemon(self, seconds):
        until = self.uptime() + seconds
        wait_until("its own clock went on", lambda: self.uptime() >= until, 20)

    def uptime(self):
        return self.status()["uptime_seconds"]

    def test_a_delivery_waits_with_its_intent_and_is_billed_once(self):
        sandbox = self.make_sandbox()
        self.start(upstream_port=sandbox.port)
        self.report(5)
        self.hold()
        wait_until("the seal waits for the disk", lambda: self.device.get("/operator/outbox")["outbox"] == [], 20)
        self.assertEqual(sandbox.created_ids() if sandbox.ledger_file.exists() else [], [])
        self.release()
        wait_until("it is billed", lambda: sandbox.ledger()["usages"], 20)
        self.assertEqual(len(sandbox.created_ids()), 1)

    def test_a_polite_stop_waits_for_the_commit_and_answers_it(self):
        self.start()
        waiting = self.start_a_commit_that_hangs()
        self.device.process.send_signal(signal.SIGTERM)
        wait_until("it is stopping", lambda: "event=stopping" in self.device.log_tail(), 20)
        self.assertIsNone(self.device.process.poll())
        self.release()
        self.assertEqual(waiting.receive().counted, 1)
        self.assertEqual(self.device.process.wait(20), 0, self.device.log_tail())
        self.device.start()
        self.assertEqual(self.counted(), 1)

    def test_a_kill_while_the_disk_hangs_counts_once_what_is_reported_again(self):
        self.start()
        waiting = self.start_a_commit_that_hangs()
        waiting.send(self.batch([{"id": "a"}], producer="p"))
        self.device.process.kill()
        self.release()
        self.device.process.wait(20)
        with self.assertRaises(Lost):
            waiting.receive()
        self.device.start()
        before = self.counted()
        again = self.connect().ask(self.batch([{"id": "a"}], producer="p"))
        self.assertEqual(again.counted + again.duplicates, 1)
        self.assertEqual(self.counted(), before + again.counted)
        self.assertLessEqual(before, 2)
