"""The sandbox's own side: exact sums, the control API, the rate limit, the ledger file, start and stop.

Part of sandbox_test.py; alone: `python3 -m unittest process_test`.
"""

import http.client
import pathlib
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import DAY, PROGRAM, Raw, Sandbox, SandboxTest, usage


class LedgerAndControl(SandboxTest):
    def test_sums_are_exact(self):
        quantities = ["0.1", "0.2", "1" * 40, "0." + "0" * 37 + "1", "0.70"]
        for number, quantity in enumerate(quantities):
            self.assertEqual(self.created(**usage(number, quantity=quantity))["quantity"], quantity)
        self.created(**usage(9, usage_date=DAY - 1, quantity="100"))
        row = {"subscription_id": "sub_1", "item_price_id": "sms-usd"}
        exact = "1" * 39 + "2." + "0" * 37 + "1"
        expected = [
            row | {"day": "2020-10-02", "quantity": "100", "usages": 1},
            row | {"day": "2020-10-03", "quantity": exact, "usages": 5},
        ]
        self.assertEqual(self.sandbox.ledger()["totals"], expected)
        self.api.delete("u2")
        self.assertEqual(self.sandbox.ledger()["totals"][1]["quantity"], "1." + "0" * 37 + "1")

    def test_requests_show_retries_and_connections(self):
        other = self.sandbox.api()
        self.addCleanup(other.close)
        for api in (self.api, self.api, other):
            api.create(key="k", **usage())
        other.retrieve("missing")
        log = self.sandbox.requests()
        self.assertEqual([entry["number"] for entry in log], [1, 2, 3, 4])
        self.assertEqual(log[0]["connection"], log[1]["connection"])
        self.assertNotEqual(log[1]["connection"], log[2]["connection"])
        self.assertEqual(len({entry["fingerprint"] for entry in log}), 2)
        self.assertEqual([entry["replayed"] for entry in log], [False, True, True, False])
        self.assertEqual([entry["applied"] for entry in log], [True, False, False, False])
        self.assertEqual(log[0]["idempotency_key"], "k")
        self.assertEqual(log[0]["body"], f"id=u0&item_price_id=sms-usd&quantity=1&usage_date={DAY}")
        self.assertEqual((log[3]["path"], log[3]["status"]), ("/api/v2/subscriptions/sub_1/usages?id=missing", 404))
        self.assertEqual(log[3]["error"], "resource_not_found")
        self.assertNotIn("authorization", dict(log[0]["headers"]))
        self.assertEqual(self.sandbox.ledger()["requests"], 4)

    def test_control_refuses_nonsense(self):
        for method, path in (("GET", "nothing"), ("POST", "ledger"), ("POST", "advance?seconds=-1")):
            with self.assertRaises(ValueError):
                self.sandbox.control(method, path)


class RateLimit(SandboxTest):
    arguments = ("--rate-per-minute", "2")

    def test_requests_beyond_the_limit_are_throttled_until_the_minute_is_over(self):
        self.assertEqual([self.api.retrieve("x").status for _ in range(3)], [404, 404, 429])
        answer = self.api.create(**usage())
        self.assertEqual(answer.error, (429, "api_request_limit_exceeded", None))
        self.assertTrue(1 <= int(answer.headers["Retry-After"]) <= 60)
        self.sandbox.advance(answer.headers["Retry-After"])
        self.created(**usage())


class Process(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def start(self, *arguments):
        sandbox = Sandbox(*arguments)
        self.addCleanup(sandbox.stop)
        return sandbox

    def test_the_ledger_file_survives_a_kill(self):
        path = self.directory / "ledger"
        first = self.start("--ledger", path)
        api = first.api()
        self.addCleanup(api.close)
        for number in range(3):
            api.create(key=f"k{number}", **usage(number, quantity="0.1"))
        api.delete("u1", key="d")
        first.advance(1000)
        before = first.ledger()
        self.assertEqual(first.stop(signal.SIGKILL)[0], -signal.SIGKILL)
        with open(path, "ab") as file:
            file.write(b'{"op":"create","usa')  # a line cut off by the kill

        second = self.start("--ledger", path)
        after = second.ledger()
        for name in ("usages", "totals", "deleted"):
            self.assertEqual(after[name], before[name])
        api = second.api()
        self.addCleanup(api.close)
        self.assertTrue(api.create(key="k0", **usage(0, quantity="0.1")).replayed)
        self.assertEqual(api.create(**usage(0)).error, (400, "duplicate_entry", "id"))
        self.assertEqual(api.create(**usage(5)).status, 200)
        second.advance(801)  # 1,801 s since the first charge, over both runs
        self.assertFalse(api.create(key="k0", **usage(0, quantity="0.1")).replayed)
        second.stop()
        self.assertEqual(len(self.start("--ledger", path).ledger()["usages"]), 3)

    def test_a_ledger_that_is_not_one_or_is_in_use_is_refused(self):
        path = self.directory / "ledger"
        path.write_text("hello\n")
        self.assertRefused("not a line of a sandbox ledger", "--ledger", path)
        path.unlink()
        self.start("--ledger", path)
        self.assertRefused("ledger", "--ledger", path)

    def test_bad_options_are_refused_with_exit_code_2(self):
        self.assertRefused("unknown kind", "--faults", "nothing:0.1")
        self.assertRefused("more than 1", "--faults", "delay:0.6,slow:0.6")
        self.assertRefused("go together", "--tls-cert", "x")
        self.assertRefused("HOST:PORT", "--listen", "nowhere")
        self.assertRefused("cannot listen", "--listen", "127.0.0.1:99999")

    def assertRefused(self, message, *arguments):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=10)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn(message, done.stderr)

    def test_it_listens_on_a_unix_socket_and_removes_it(self):
        path = self.directory / "socket"
        sandbox = self.start("--listen", f"unix:{path}")
        self.assertEqual(sandbox.address, f"unix:{path}")
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.sock.connect(str(path))
        connection.request("GET", "/_sandbox/ledger")
        self.assertEqual(connection.getresponse().status, 200)
        self.assertEqual(sandbox.stop()[0], 0)
        self.assertFalse(path.exists())

    def test_sigterm_ends_it_while_a_request_is_stalled(self):
        sandbox = self.start("--faults", "stall_before")
        raw = Raw(sandbox).create()
        self.addCleanup(raw.close)
        self.assertTrue(raw.is_silent())
        self.assertEqual(sandbox.stop()[0], 0)
