"""Each fault does on the wire what it says, and has applied the request or has not.

Part of sandbox_test.py; alone: `python3 -m unittest faults_test`.
"""

import email.utils
import pathlib
import ssl
import tempfile
import time
import unittest

from harness import Raw, Sandbox, make_certificate, usage
from sandbox import wire


class FaultsOnTheWire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox("--seed", "1")
        cls.addClassCleanup(cls.sandbox.stop)
        cls.number = 0

    def setUp(self):
        FaultsOnTheWire.number += 1
        self.sandbox.faults()
        self.api = self.sandbox.api()
        self.addCleanup(self.api.close)

    def script(self, kind, **spec):
        self.sandbox.faults(script=[kind], **spec)

    def raw(self, kind, **spec):
        """A connection on which this test's create was sent, the fault before it."""
        self.script(kind, **spec)
        raw = Raw(self.sandbox)
        self.addCleanup(raw.close)
        return raw.create(self.number, key=f"k{self.number}")

    def create(self):
        return self.api.create(key=f"k{self.number}", **usage(self.number))

    def usage_exists(self):
        return self.api.retrieve(f"u{self.number}").status == 200

    def last_request(self):
        return self.sandbox.requests()[-1]

    def test_without_a_fault_the_connection_stays_open(self):
        raw = self.raw("ok")
        raw.read_answer()
        self.assertTrue(raw.is_silent())
        self.assertTrue(self.usage_exists())
        self.assertNotIn("ok", self.sandbox.ledger()["faults"])

    def test_drop_closes_without_an_answer(self):
        for kind, applied in (("drop_before", False), ("drop_after", True)):
            with self.subTest(kind):
                self.assertEqual(self.raw(kind).read_all(), b"")
                entry = self.last_request()
                self.assertEqual((entry["fault"], entry["status"], entry["applied"]), (kind, None, applied))
                self.assertEqual(self.usage_exists(), applied)

    def test_reset_resets_the_connection(self):
        for kind, applied in (("reset_before", False), ("reset_after", True)):
            with self.subTest(kind):
                with self.assertRaises(ConnectionResetError):
                    self.raw(kind).read_all()
                self.assertEqual(self.usage_exists(), applied)

    def test_stall_holds_the_connection_and_answers_nothing(self):
        for kind, applied in (("stall_before", False), ("stall_after", True)):
            with self.subTest(kind):
                raw = self.raw(kind)
                self.assertTrue(raw.is_silent())
                self.assertEqual(self.usage_exists(), applied)

    def test_a_retry_after_a_lost_answer_is_replayed(self):
        self.raw("drop_after").read_all()
        with_same_bytes = Raw(self.sandbox).create(self.number, key=f"k{self.number}")
        self.addCleanup(with_same_bytes.close)
        self.assertIn(b"chargebee-idempotency-replayed: true", b"".join(with_same_bytes.read_answer()))
        self.assertTrue(self.last_request()["replayed"])

    def test_delay_answers_late(self):
        self.script("delay", delay_seconds=0.15)
        start = time.monotonic()
        self.assertEqual(self.create().status, 200)
        self.assertGreaterEqual(time.monotonic() - start, 0.15)
        start = time.monotonic()  # the control: without the fault it is quick
        self.assertTrue(self.usage_exists())
        self.assertLess(time.monotonic() - start, 0.15)

    def test_slow_dribbles_a_whole_answer(self):
        start = time.monotonic()
        raw = self.raw("slow", delay_seconds=0.3)
        self.assertGreater(len(raw.read_answer()), 20)
        self.assertGreaterEqual(time.monotonic() - start, 0.29)
        self.assertTrue(raw.is_silent())

    def test_truncate_promises_more_than_it_sends(self):
        data = self.raw("truncate").read_all()
        head, _, body = data.partition(b"\r\n\r\n")
        promised = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        self.assertTrue(0 < len(body) < promised)
        self.assertTrue(self.usage_exists())

    def test_garbage_is_not_http(self):
        data = self.raw("garbage").read_all()
        self.assertTrue(data and not data.startswith(b"HTTP/"))
        self.assertIsNone(self.last_request()["status"])
        self.assertTrue(self.usage_exists())

    def test_garbage_json_is_http_but_not_json(self):
        self.script("garbage_json")
        answer = self.create()
        self.assertEqual((answer.status, answer.headers.get_content_type()), (200, "application/json"))
        with self.assertRaises(ValueError):
            answer.json
        self.assertTrue(self.usage_exists())

    def test_oversized_ends_at_64_mib(self):
        raw = self.raw("oversized")
        size = 0
        while piece := raw.receive():
            size += len(piece)
        self.assertTrue(wire.OVERSIZED_BYTES < size < wire.OVERSIZED_BYTES * 1.01)
        self.assertTrue(self.usage_exists())

    def test_oversized_ends_when_the_client_leaves(self):
        raw = self.raw("oversized")
        raw.receive()
        raw.close()
        self.assertTrue(self.usage_exists())

    def test_oversized_header_is_a_megabyte(self):
        raw = self.raw("oversized_header")
        data = b"".join(raw.read_answer())
        self.assertGreater(data.index(b"\r\n\r\n"), wire.OVERSIZED_HEADER_BYTES)
        self.assertTrue(self.usage_exists())

    def test_errors_answer_the_vendors_json_and_apply_nothing(self):
        for kind, expected in {
            "error_400": (400, "param_wrong_value", "quantity"),
            "error_401": (401, "api_authentication_failed", None),
            "error_403": (403, "api_authorization_failed", None),
            "error_404": (404, "resource_not_found", None),
            "error_405": (405, "http_method_not_supported", None),
            "error_409": (409, "invalid_state_for_request", None),
            "error_422": (422, "unable_to_process_request", None),
            "error_429": (429, "api_request_limit_exceeded", None),
            "error_429_date": (429, "api_request_limit_exceeded", None),
            "error_429_bare": (429, "api_request_limit_exceeded", None),
            "lock_timeout": (429, "lock_timeout", None),
            "error_500": (500, "internal_error", None),
            "error_503": (503, "internal_temporary_error", None),
            "error_503_maintenance": (503, "site_read_only_mode", None),
        }.items():
            with self.subTest(kind):
                self.script(kind)
                self.assertEqual(self.create().error, expected)
                self.assertEqual(self.last_request()["fault"], kind)
                self.assertFalse(self.usage_exists())

    def test_retry_after_has_three_forms(self):
        self.script("error_429", retry_after=7)
        self.assertEqual(self.create().headers["Retry-After"], "7")
        self.script("error_429_bare", retry_after=7)
        self.assertIsNone(self.create().headers["Retry-After"])
        self.script("error_429_date", retry_after="30")
        until = email.utils.parsedate_to_datetime(self.create().headers["Retry-After"]).timestamp()
        self.assertTrue(25 < until - time.time() <= 30)

    def test_pages_of_others_are_html(self):
        for kind, status in (("error_502_html", 502), ("captive_portal", 200), ("captive_redirect", 302)):
            with self.subTest(kind):
                self.script(kind)
                answer = self.create()
                self.assertEqual((answer.status, answer.headers.get_content_type()), (status, "text/html"))
                self.assertEqual("Location" in answer.headers, status == 302)
                self.assertFalse(self.usage_exists())

    def test_an_applied_request_that_was_answered_with_an_error_meets_itself(self):
        for kind, expected in (
            ("error_500_after", (500, "internal_error", None)),
            ("duplicate_late", (400, "duplicate_entry", "id")),
        ):
            with self.subTest(kind):
                FaultsOnTheWire.number += 1
                self.script(kind)
                self.assertEqual(self.create().error, expected)
                self.assertTrue(self.usage_exists())
                self.assertEqual(self.create().error, (400, "duplicate_entry", "id"))  # the key was not kept

    def test_duplicate_late_leaves_other_requests_alone(self):
        self.create()
        before = self.sandbox.ledger()["faults"].get("duplicate_late", 0)
        self.sandbox.faults(script=["duplicate_late", "duplicate_late"])
        self.assertTrue(self.usage_exists())
        self.assertEqual(self.api.delete(f"u{self.number}").status, 200)
        self.assertEqual(self.sandbox.ledger()["faults"].get("duplicate_late", 0), before)

    def test_a_script_is_consumed_by_api_requests_only(self):
        self.sandbox.faults(script=["ok", "error_503"])
        self.sandbox.ledger()
        self.assertEqual(self.create().status, 200)
        self.assertEqual(self.sandbox.control("GET", "faults")["script_left"], ["error_503"])
        self.assertEqual(self.create().status, 503)
        self.assertEqual(self.create().status, 200)


class FaultsOverTls(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        made = make_certificate(pathlib.Path(directory.name))
        if not made:
            self.skipTest("there is no openssl command to make a certificate with")
        certificate, key, self.context = made
        script = '{"script": ["ok", "reset_after", "drop_after"]}'
        self.sandbox = Sandbox("--tls-cert", certificate, "--tls-key", key, "--faults", script)
        self.addCleanup(self.sandbox.stop)

    def test_answers_and_faults_pass_through_tls(self):
        raw = Raw(self.sandbox, self.context).create(0)
        self.addCleanup(raw.close)
        self.assertTrue(raw.receive().startswith(b"HTTP/1.1 200"))
        with self.assertRaises((ConnectionResetError, ssl.SSLEOFError)):  # no close_notify, unlike a drop
            raw.create(1).read_all()
        dropped = Raw(self.sandbox, self.context).create(2)
        self.addCleanup(dropped.close)
        self.assertEqual(dropped.read_all(), b"")
