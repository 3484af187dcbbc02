"""The daemon as a process: its configuration, its sockets, the service manager, start and stop."""

import fcntl
import os
import signal
import socket
import threading
import time

from contract_case import METERS, ContractTest
from frames import Lost, frame
from harness import wait_until

IDLE_STOP_SECONDS = 2.0
EXIT_CONFIGURATION, EXIT_JOURNAL, EXIT_SOCKET = 2, 3, 4


class Configuration(ContractTest):
    def test_check_prints_the_effective_configuration_without_secrets(self):
        self.device.write_config(METERS, upstream_port=1)
        (self.device.directory / "key").write_text("a-very-secret-key")
        code, text = self.device.run_to_end("--check")
        self.assertEqual(code, 0, text)
        self.assertIn("commit_interval", text)
        self.assertIn("sms-usd", text)
        self.assertNotIn("a-very-secret-key", text)
        self.assertFalse(self.device.journal.exists())  # looked at, not started

    def test_each_mistake_is_named_with_file_line_and_key(self):
        self.device.write_config(METERS, upstream_port=1)
        good = self.device.config_file.read_text()
        self.assertEqual(self.device.run_to_end("--check")[0], 0)
        for old, new, key in (
            ('trust = "always"', 'trust = "perhaps"', "clock.trust"),
            ('commit_interval = "200ms"', "commit_interval = 200", "journal.commit_interval"),
            ('commit_interval = "200ms"', 'commit_intervall = "200ms"', "journal.commit_intervall"),
            ('url = "http://', 'url = "ftp://', "upstream.url"),
            ("/key", "/no-such-file", "upstream.key"),
            ('item_price = "sms-usd"', "", "meter.item_price"),
            ('seal = "2s"', 'seal = "7s"', "upstream.seal"),
            ("[ingest]", "[digest]", "digest"),
            ('kind = "chargebee"', 'kind = "chargebee', ""),  # no TOML
        ):
            with self.subTest(new):
                bad = good.replace(old, new, 1)
                self.assertNotEqual(bad, good)
                self.device.config_file.write_text(bad)
                pairs = enumerate(zip(good.splitlines(), bad.splitlines()), start=1)
                line = next(number for number, (one, other) in pairs if one != other)
                for arguments in (["--check"], []):
                    code, text = self.device.run_to_end(*arguments)
                    self.assertEqual(code, EXIT_CONFIGURATION, text)
                    self.assertIn(f"{self.device.config_file}:", text)
                    self.assertIn(key, text)
                    if new:  # a missing key has its table's line
                        self.assertIn(f"{self.device.config_file}:{line}:", text)
        self.assertFalse(self.device.journal.exists())

    def test_no_file_is_an_error_that_names_it(self):
        self.device.config_file = self.device.directory / "missing.toml"
        for arguments in (["--check"], []):
            code, text = self.device.run_to_end(*arguments)
            self.assertEqual(code, EXIT_CONFIGURATION, text)
            self.assertIn("missing.toml", text)

    def test_a_start_logs_one_line_for_each_mistake_and_a_check_prints_them_plain(self):
        self.device.config_file.write_text('[clock]\ntrust = "perhaps"\n\n[journal]\nsize = 1\n')
        file = self.device.config_file
        code, text = self.device.run_to_end()
        self.assertEqual(code, EXIT_CONFIGURATION, text)
        lines = text.splitlines()
        self.assertEqual(len(lines), 2, text)
        for line, start in zip(lines, (f"{file}:2: clock.trust: ", f"{file}:5: journal.size: ")):
            self.assertTrue(line.startswith(f'<3>event=not_started error="{start}'), line)
            self.assertIn(' do="', line)
        code, text = self.device.run_to_end("--check")
        self.assertEqual(code, EXIT_CONFIGURATION, text)
        self.assertNotIn("event=", text)
        self.assertEqual([line.startswith(f"{file}:") for line in text.splitlines()], [True, True])


class Neighbours(ContractTest):
    def test_a_second_daemon_on_the_same_journal_is_refused_and_the_first_unharmed(self):
        self.start()
        self.report(3)
        second = self.make_device("second")
        second.journal = self.device.journal
        second.write_config(METERS)
        code, text = second.run_to_end()
        self.assertEqual(code, EXIT_JOURNAL, text)
        self.assertIn("in use", text)
        self.report(4)
        self.assertEqual(self.counted(), 7)
        self.assertEqual(self.device.ctl("verify")[0], 0)

    def test_a_second_daemon_on_the_same_sockets_is_refused_and_the_first_unharmed(self):
        self.start()
        for name in ("ingest", "statsd", "api", "udp_port", "tcp_port"):
            with self.subTest(name):
                second = self.make_device(f"second-{name}")
                setattr(second, name, getattr(self.device, name))
                second.write_config(METERS)
                code, text = second.run_to_end()
                self.assertEqual(code, EXIT_SOCKET, text)
                self.assertIn("use", text)
                self.report(1)
        self.assertEqual(self.counted(), 5)

    def test_stale_sockets_are_replaced_and_other_files_are_not(self):
        self.start()
        self.device.kill()
        for path in (self.device.ingest, self.device.statsd, self.device.api):
            self.assertTrue(path.is_socket())
        self.device.start()
        self.report(1)
        self.terminate()
        for path in (self.device.ingest, self.device.statsd, self.device.api):
            with self.subTest(path.name):
                path.unlink(missing_ok=True)
                path.write_text("not a socket")
                code, text = self.device.run_to_end()
                self.assertEqual(code, EXIT_SOCKET, text)
                self.assertIn(str(path), text)
                self.assertEqual(path.read_text(), "not a socket")
                path.unlink()
        self.device.start()
        self.report(1)
        self.assertEqual(self.counted(), 2)

    def test_meterctl_says_when_the_daemon_is_not_there(self):
        self.assertEqual(self.device.ctl("status")[0], 3)
        self.start()
        self.assertEqual(self.device.ctl("status")[0], 0)
        self.device.kill()
        code, text = self.device.ctl("report", "sms.sent", "--subscription", "s", "--quantity", "1", "--id", "a")
        self.assertEqual(code, 3, text)


class StartAndStop(ContractTest):
    def test_the_service_manager_is_told(self):
        path = self.directory / "notify.sock"
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(str(path))
        manager.settimeout(10)
        self.device.write_config(METERS)
        self.device.spawn(os.environ | {"NOTIFY_SOCKET": str(path)})
        self.assertIn("READY=1", manager.recv(4096).decode())
        self.report(1)  # ready means that every input is bound
        self.device.process.terminate()
        said = ""
        while "STOPPING=1" not in said:
            said = manager.recv(4096).decode()
        self.assertEqual(self.device.process.wait(10), 0)

    def test_the_watchdog_is_fed(self):
        watchdog = self.make_watchdog()
        self.device.write_config(METERS)
        self.device.start(watchdog.environment)
        for _ in range(5):
            watchdog.wait()

    def test_counting_starts_soon_after_exec(self):
        """Prints the time and asserts only that it works: a busy machine must not fail this."""
        self.device.write_config(METERS)
        for kind in ("fresh", "existing"):
            began = time.monotonic()
            self.device.spawn()
            wait_until("an event is committed", self.try_report, 10, every=0.001)
            print(f"  exec to the first committed event, {kind} journal: {(time.monotonic() - began) * 1000:.0f} ms")
            self.device.kill()

    def try_report(self):
        try:
            return self.report(1).counted == 1
        except Lost:
            return False

    def test_sigterm_under_load_loses_nothing_that_was_received(self):
        self.start(commit_interval="1h")  # nothing is committed by time
        over, books = threading.Event(), {"sent": 0, "acknowledged": 0, "lines": 0}

        def frames():
            connection = self.connect()
            while not over.is_set():
                books["sent"] += 7
                try:
                    ack = connection.ask(self.batch(7, ack=1))
                except Lost:
                    return
                books["acknowledged"] += ack.counted

        def lines():
            out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.addCleanup(out.close)
            while not over.wait(0.0005):
                try:
                    out.sendto(b"api.call:1|c|#subscription:sub_1", str(self.device.statsd))
                except OSError:
                    return
                books["lines"] += 1

        threads = [threading.Thread(target=each) for each in (frames, lines)]
        for thread in threads:
            thread.start()
        wait_until("a load is on", lambda: books["acknowledged"] > 1000 and books["lines"] > 100, 20)
        lines_before = books["lines"]
        self.terminate()
        over.set()
        for thread in threads:
            thread.join(30)
        self.device.start()
        self.assertLessEqual(books["acknowledged"], self.counted("sms-usd"))
        self.assertLessEqual(self.counted("sms-usd"), books["sent"])
        self.assertLessEqual(lines_before, self.counted("api-usd"))
        self.assertLessEqual(self.counted("api-usd"), books["lines"])

    def test_an_idle_daemon_stops_at_once(self):
        for open_connections in (False, True):
            self.start()
            idle = [self.connect() for _ in range(5)] if open_connections else []
            began = time.monotonic()
            self.terminate()
            self.assertLess(time.monotonic() - began, IDLE_STOP_SECONDS, f"with {len(idle)} idle producers")

    def test_a_log_that_nobody_reads_holds_nothing_up(self):
        out, into = os.pipe()
        self.addCleanup(os.close, out)
        self.addCleanup(os.close, into)
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
        os.write(into, b"x" * 4096)  # full: a write that waits would be the daemon's last
        self.device.write_config(METERS)
        self.device.spawn(stderr=into)
        wait_until("an event is committed", self.try_report, 10)
        self.assertEqual(len(os.read(out, 8192)), 4096)
        self.device.process.send_signal(signal.SIGHUP)
        line = os.read(out, 8192).decode().splitlines()[0]
        self.assertRegex(line, r"^<6>event=reloaded .* dropped=[1-9]\d*$")
        self.terminate()

    def test_only_meterd_writes_to_its_log(self):
        self.start()
        payload = self.batch([{"name": "sms.sent"}]).SerializeToString().replace(b"sms.sent", b"\xff\xfe\xfd\xfcsent")
        connection = self.connect()
        connection.send_bytes(frame(payload))
        self.assertIn("malformed", connection.receive().error)
        self.assertEqual(self.refused(), {"malformed": 1})
        self.terminate()
        for line in self.device.log_file.read_text().splitlines():
            self.assertRegex(line, r"^<[346]>event=")

    def test_a_reload_signal_does_not_end_it(self):
        self.start()
        self.device.process.send_signal(signal.SIGHUP)
        self.report(1)
        self.assertEqual(self.counted(), 1)
