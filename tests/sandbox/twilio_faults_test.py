"""Each fault met by Twilio's requests: what it answers in Twilio's shapes, and what was charged.

Part of sandbox_test.py; alone: `python3 -m unittest twilio_faults_test`.
"""

import http.client
import unittest

from harness import Sandbox, usage
from sandbox import faults, kinds, wire
from twilio_harness import INSTALLATION, RawTwilio, TwilioApi, TwilioTest, refusal, sid

TWILIO_ONLY = [name for name, kind in kinds.KINDS.items() if kind.vendors == (kinds.TWILIO,)]


class TwilioFault(TwilioTest):
    def script(self, *entries, **spec):
        self.sandbox.faults(script=list(entries), **spec)

    def raw(self, kind, **spec):
        self.script(kind, **spec)
        raw = RawTwilio(self.sandbox)
        self.addCleanup(raw.close)
        return raw

    def charges(self):
        """How many charges there are by now."""
        return len(self.sandbox.ledger()["charges"])

    def last(self):
        entry = self.sandbox.requests()[-1]
        return entry["fault"], entry["status"], entry["applied"], len(entry["charges"])


class TwilioFaults(TwilioFault):
    def test_lost_answers_charge_or_do_not(self):
        for kind, applied in (("drop_before", False), ("drop_after", True)):
            for send in (RawTwilio.report, RawTwilio.quantity):
                with self.subTest(kind):
                    before = self.charges()
                    self.assertEqual(send(self.raw(kind), "1").read_all(), b"")
                    self.assertEqual(self.last(), (kind, None, applied, int(applied)))
                    self.assertEqual(self.charges() - before, applied)
        for kind, applied in (("reset_before", False), ("reset_after", True)):
            with self.subTest(kind):
                with self.assertRaises(ConnectionResetError):
                    self.raw(kind).report("1", "2").read_all()
                self.assertEqual(self.last(), (kind, None, applied, 2 * applied))
        for kind, applied in (("stall_before", False), ("stall_after", True)):
            with self.subTest(kind):
                self.assertTrue(self.raw(kind).quantity("1").is_silent())
                self.assertEqual(self.last(), (kind, None, applied, int(applied)))

    def test_a_client_that_repeats_a_lost_request_charges_twice(self):
        self.raw("drop_after").report("5").read_all()
        self.reported("5")
        self.assertEqual(self.totals(), {(INSTALLATION, sid(0)): "10"})

    def test_refusals_have_the_vendors_shape_and_charge_nothing(self):
        for kind, expected in {
            "error_400": (400, 20001),
            "error_401": (401, 20003),
            "error_403": (403, 20403),
            "error_404": (404, 20404),
            "error_405": (405, 20004),
            "error_429": (429, 20429),
            "error_429_date": (429, 20429),
            "error_429_bare": (429, 20429),
            "error_500": (500, 20500),
            "error_503": (503, 20503),
            "manual_reporting_off": (403, 20403),
        }.items():
            for call in (self.twilio.report, self.twilio.quantity):
                with self.subTest(kind):
                    self.script(kind, retry_after=7)
                    answer = call("1")
                    self.assertEqual(refusal(answer), expected)
                    self.assertEqual("Retry-After" in answer.headers, kind in ("error_429", "error_429_date"))
                    self.assertEqual(self.last(), (kind, expected[0], False, 0))
        self.assertEqual(self.charges(), 0)
        self.assertIn("anual usage reporting", answer.json["message"])

    def test_a_failure_after_charging_is_charged(self):
        self.script("error_500_after", "error_500_after")
        self.assertEqual(refusal(self.twilio.report("1", "2")), (500, 20500))
        self.assertEqual(self.last(), ("error_500_after", 500, True, 2))
        self.assertEqual(refusal(self.twilio.quantity("1")), (500, 20500))
        self.assertEqual(self.charges(), 3)

    def test_pages_of_others_charge_nothing(self):
        for kind, status in (("error_502_html", 502), ("captive_portal", 200), ("captive_redirect", 302)):
            with self.subTest(kind):
                self.script(kind)
                answer = self.twilio.report("1")
                self.assertEqual((answer.status, answer.headers.get_content_type()), (status, "text/html"))
        self.assertEqual(self.charges(), 0)

    def test_answers_that_cannot_be_read_were_charged(self):
        self.script("garbage_json")
        answer = self.twilio.report("1")
        self.assertEqual((answer.status, answer.headers.get_content_type()), (202, "application/json"))
        with self.assertRaises(ValueError):
            answer.json
        self.script("wrong_type", "wrong_type")
        for call in (self.twilio.report, self.twilio.quantity):
            answer = call("1")
            self.assertEqual((answer.status, answer.headers.get_content_type()), (202, "text/html"))
        self.assertFalse(self.raw("garbage").report("1").read_all().startswith(b"HTTP/"))
        for send in (RawTwilio.report, RawTwilio.quantity):
            head, _, body = send(self.raw("truncate"), "1").read_all().partition(b"\r\n\r\n")
            promised = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            self.assertTrue(head.startswith(b"HTTP/1.1 202") and 0 < len(body) < promised)
        data = self.raw("oversized_header").report("1")
        self.assertGreater(sum(len(piece) for piece in iter_until(data, b"}]}")), wire.OVERSIZED_HEADER_BYTES)
        raw = self.raw("oversized").quantity("1")
        self.assertTrue(raw.receive().startswith(b"HTTP/1.1 202"))
        raw.close()
        self.assertEqual(self.charges(), 8)

    def test_slow_and_late_answers_are_whole(self):
        self.script("slow", "delay", delay_seconds=0.05)
        self.assertEqual(self.reported("1")["total_submitted"], "1")
        self.assertEqual(self.twilio.quantity("1").body, b"202 Accepted")
        self.assertEqual(self.charges(), 2)


def iter_until(raw, end):
    """The pieces of an answer up to its last bytes."""
    piece = b""
    while not piece.endswith(end):
        piece = raw.receive()
        assert piece
        yield piece


class Misreports(TwilioFault):
    """V1's 202 that is not the whole truth, or is not what was sent."""

    def told(self, body):
        return [(item["quantity"], item["submitted"]) for item in body["billable_items"]]

    def test_partial_charges_what_it_says_and_no_more(self):
        self.script("partial")
        body = self.reported("1", "2", "3", "4")
        self.assertEqual(self.told(body), [("1", False), ("2", True), ("3", False), ("4", True)])
        self.assertEqual(body["total_submitted"], "6")
        self.assertEqual([charge[2] for charge in self.charged()], ["2", "4"])
        self.assertEqual(self.last(), ("partial", 202, True, 2))

    def test_partial_of_one_item_charges_nothing(self):
        self.script("partial")
        body = self.reported("1")
        self.assertEqual((self.told(body), body["total_submitted"]), ([("1", False)], "0"))
        self.assertEqual((self.charges(), self.last()), (0, ("partial", 202, False, 0)))

    def test_wrong_total_is_beyond_what_floats_excuse(self):
        for quantities in (("1", "2"), ("900000000000000",), ("0.000000000000001",)):
            self.script("wrong_total")
            before = self.charges()
            body = self.reported(*quantities)
            exact = sum(map(float, quantities))
            self.assertGreater(abs(float(body["total_submitted"]) - exact), 1e-9 * exact)
            self.assertEqual(self.charges() - before, len(quantities))

    def test_float_total_is_within_it(self):
        self.script("float_total")
        body = self.reported("0.1", "0.2")
        self.assertEqual(body["total_submitted"], "0.30000000000000004")
        self.assertEqual(self.totals()[INSTALLATION, sid(1)], "0.2")

    def test_fewer_items_leaves_the_last_one_out(self):
        self.script("fewer_items", "fewer_items")
        body = self.reported("1", "2", "3")
        self.assertEqual((self.told(body), body["total_submitted"]), ([("1", True), ("2", True)], "3"))
        body = self.reported("1")
        self.assertEqual((body["billable_items"], body["total_submitted"]), ([], "0"))
        self.assertEqual(self.charges(), 4)

    def test_shuffled_moves_the_first_item_to_the_end(self):
        self.script("shuffled")
        body = self.reported("1", "2", "3")
        self.assertEqual(self.told(body), [("2", True), ("3", True), ("1", True)])
        self.assertEqual(body["billable_items"][2]["sid"], sid(0))
        self.assertEqual((self.charges(), self.last()), (3, ("shuffled", 202, True, 3)))

    def test_where_there_is_nothing_to_tell_wrongly_there_was_no_fault(self):
        same = f'{{"sid":"{sid()}","quantity":1}}'
        self.script("shuffled", "shuffled", "float_total", "partial", "partial")
        self.reported("1")
        self.assertEqual(self.twilio.post(f'{{"billable_items":[{same},{same}]}}').status, 202)
        self.reported("0.5", "0.25")
        self.assertEqual(refusal(self.twilio.report("0")), (400, 20001))
        self.assertEqual(self.twilio.quantity("1").status, 202)  # Preview has no items
        self.assertEqual([entry["fault"] for entry in self.sandbox.requests()], [None] * 5)
        self.assertEqual(self.sandbox.ledger()["faults"], {})


class KindsOfVendors(TwilioFault):
    def test_kinds_of_one_vendor_leave_the_other_alone(self):
        for number, kind in enumerate(TWILIO_ONLY):
            self.script(kind)
            self.created(**usage(number))
        for kind in ("lock_timeout", "duplicate_late", "error_422", "error_409", "error_503_maintenance"):
            self.script(kind)
            self.reported("1")
        self.assertEqual(self.sandbox.ledger()["faults"], {})
        self.assertEqual(self.sandbox.control("GET", "faults")["script_left"], [])

    def test_all_is_what_it_was_for_chargebee_and_more_for_twilio(self):
        spec = faults.parse("all:0.5")
        self.assertEqual(set(TWILIO_ONLY) - spec.twilio_rates.keys(), {"manual_reporting_off"})
        self.assertFalse(set(TWILIO_ONLY) & spec.rates.keys())
        self.assertEqual(len(spec.rates), 22)
        self.assertTrue({"partial", "reset_after"} < spec.twilio_rates.keys())
        self.assertFalse({"lock_timeout", "error_422", "error_403"} & spec.twilio_rates.keys())
        for rates in (spec.rates, spec.twilio_rates):
            self.assertAlmostEqual(sum(rates.values()), 0.5)

    def test_a_rate_of_one_vendors_kind_is_not_the_others(self):
        for text in ("partial:0.4,lock_timeout:0.7", '{"rate": 1, "kinds": ["partial"]}'):
            spec = faults.parse(text)
            self.assertEqual(spec.twilio_rates.keys(), {"partial"})
            self.assertNotIn("partial", spec.rates)
        with self.assertRaises(faults.SpecError):
            faults.parse("partial:0.6,shuffled:0.6")


class ChargesByChance(unittest.TestCase):
    """Clients of two kinds under `all`: one holds what it does not know, the other sends until it has an answer."""

    REQUESTS = 80

    def bill(self, attempts):
        """({sid: what was charged}, sids that the client holds in doubt)."""
        sandbox = Sandbox("--seed", "11", "--faults", '{"rate": 0.5, "delay_seconds": 0.01}')
        self.addCleanup(sandbox.stop)
        doubtful = set()
        for number in range(self.REQUESTS):
            item = f'{{"billable_items":[{{"sid":"{sid(number)}","quantity":0.1}}]}}'
            outcome = "unknown"
            for _ in range(attempts):
                outcome = self.send(sandbox, item)
                while outcome == "not charged":
                    outcome = self.send(sandbox, item)
                if outcome == "charged":
                    break
            if outcome != "charged":
                doubtful.add(sid(number))
        ledger = sandbox.ledger()
        self.assertGreater(len(ledger["faults"]), 15, "the rate must have hit most kinds")
        self.assertTrue(ledger["faults"].keys() & set(TWILIO_ONLY))
        return {row["sid"]: row["quantity"] for row in ledger["charge_totals"]}, doubtful

    def send(self, sandbox, body):
        api = TwilioApi(sandbox.port)
        try:
            answer = api.post(body)
            if answer.status == 429:
                return "not charged"
            (item,) = answer.json["billable_items"]
            if answer.status != 202 or abs(answer.json["total_submitted"] - 0.1 * item["submitted"]) > 1e-9:
                return "unknown"
            return "charged" if item["submitted"] else "not charged"
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return "unknown"
        finally:
            api.close()

    def test_a_client_that_holds_what_is_in_doubt_charges_nothing_twice(self):
        charged, doubtful = self.bill(attempts=1)
        self.assertEqual(set(charged.values()), {"0.1"})
        known = {sid(number) for number in range(self.REQUESTS)} - doubtful
        self.assertLessEqual(known, charged.keys())
        self.assertTrue(doubtful & charged.keys() and doubtful - charged.keys(), "doubt must have two outcomes")

    def test_a_client_that_sends_until_it_is_answered_is_caught(self):
        charged, doubtful = self.bill(attempts=30)
        self.assertEqual((len(charged), doubtful), (self.REQUESTS, set()))
        self.assertGreater(sum(quantity != "0.1" for quantity in charged.values()), 5)
