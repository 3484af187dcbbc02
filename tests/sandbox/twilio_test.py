"""Both Twilio APIs keep the vendor's rules: what they take, what they answer, what the ledger has of it.

Part of sandbox_test.py; alone: `python3 -m unittest twilio_test`.
"""

import json
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from harness import PROGRAM, Sandbox, basic, usage
from twilio_harness import ACCOUNT, INSTALLATION, PREVIEW_PATH, TOKEN, TwilioApi, TwilioTest
from twilio_harness import items_json, refusal, sid, v1_path

OTHER = "XE" + "B" * 32


class BillableItems(TwilioTest):
    def test_the_answer_has_every_item_in_its_place_and_their_sum(self):
        sent = ((sid(7), 12.355), (sid(3), 44.02), (sid(7), 1))
        items = [{"sid": name, "quantity": quantity} for name, quantity in sent]
        answer = self.twilio.post(json.dumps({"billable_items": items}))
        self.assertEqual((answer.status, answer.headers.get_content_type()), (202, "application/json"))
        expected = {"total_submitted": 57.375, "billable_items": [item | {"submitted": True} for item in items]}
        self.assertEqual(answer.json, expected)
        self.assertEqual(self.charged(), [("v1", sid(7), "12.355"), ("v1", sid(3), "44.02"), ("v1", sid(7), "1")])
        self.assertEqual(self.totals(), {(INSTALLATION, sid(3)): "44.02", (INSTALLATION, sid(7)): "13.355"})

    def test_sums_are_exact_where_floats_are_not(self):
        body = self.reported("0.1", "0.2")
        self.assertEqual(body["total_submitted"], "0.3")
        self.assertNotEqual(repr(0.1 + 0.2), "0.3")  # the control: a float would have shown
        for _ in range(9):
            self.reported("0.1", "0.000000000000001", "99999999999999.9")
        expected = {sid(0): "1", sid(1): "0.200000000000009", sid(2): "899999999999999.1"}
        self.assertEqual(self.totals(), {(INSTALLATION, key): total for key, total in expected.items()})

    def test_a_quantity_is_kept_as_it_was_sent(self):
        sent = ["1.50", "1e3", "2.5E-1", "100"]
        body = self.reported(*sent)
        self.assertEqual([charge[2] for charge in self.charged()], sent)
        self.assertEqual([item["quantity"] for item in body["billable_items"]], ["1.5", "1000", "0.25", "100"])
        self.assertEqual(body["total_submitted"], "1101.75")

    def test_a_repeat_is_charged_again(self):
        for _ in range(2):
            json_type = {"Content-Type": "application/json"}
            self.twilio.call("POST", v1_path(), items_json("5"), key="k", headers=json_type)
        self.assertEqual(self.totals(), {(INSTALLATION, sid(0)): "10"})
        ledger = self.sandbox.ledger()
        self.assertEqual((ledger["charge_totals"][0]["charges"], ledger["replays"]), (2, 0))
        self.assertEqual(len({entry["fingerprint"] for entry in self.sandbox.requests()}), 1)

    def test_one_item_that_is_not_valid_refuses_the_whole_request(self):
        for quantity in ("0", "0.0", "-1", '"1"', "null", "true", "1" * 16, "1." + "0" * 40, "1e100", "1e" + "9" * 30):
            self.assertEqual(refusal(self.twilio.report("1", quantity)), (400, 20001), quantity)
        for bad in ('"BI1"', '"XE' + "0" * 32 + '"', "1", "null", '"' + sid(0) + '\\n"'):
            body = f'{{"billable_items":[{{"sid":"{sid(0)}","quantity":1}},{{"sid":{bad},"quantity":1}}]}}'
            self.assertEqual(refusal(self.twilio.post(body)), (400, 20001), bad)
        self.assertEqual(self.charged(), [])
        self.reported("1" * 15, "1.2345678901234500000", "1e99")  # the control: at the edge, but valid

    def test_bodies_that_are_not_of_the_schema_are_refused(self):
        item = f'{{"sid":"{sid(0)}","quantity":1}}'
        for body in (
            "",
            "{",
            "[]",
            "{}",
            '{"billable_items":[]}',
            '{"billable_items":{}}',
            '{"billable_items":[1]}',
            f'{{"billableItems":[{item}]}}',
            f'{{"billable_items":[{item}],"note":1}}',
            f'{{"billable_items":[{item}],"billable_items":[{item}]}}',
            f'{{"billable_items":[{{"sid":"{sid(0)}"}}]}}',
            '{"billable_items":[{"quantity":1}]}',
            f'{{"billable_items":[{{"sid":"{sid(0)}","quantity":1,"quantity":2}}]}}',
            f'{{"billable_items":[{{"sid":"{sid(0)}","quantity":NaN}}]}}',
            f'{{"billable_items":[{{"sid":"{sid(0)}","quantity":1.}}]}}',
            "[" * 100000,
            b"\xff\xfe",
        ):
            self.assertEqual(refusal(self.twilio.post(body)), (400, 20001), body[:80])
        for content_type in ("application/x-www-form-urlencoded", "text/json", "application/json; charset=latin-1"):
            answer = self.twilio.post(items_json("1"), content_type=content_type)
            self.assertEqual(refusal(answer), (415, 20001), content_type)
        self.assertEqual(self.charged(), [])
        self.assertEqual(self.twilio.post(items_json("1"), content_type="application/json; charset=UTF-8").status, 202)

    def test_without_a_limit_thousands_of_items_fit_in_a_request(self):
        body = self.reported(*["0.01"] * 5000)
        self.assertEqual((body["total_submitted"], len(body["billable_items"])), ("50", 5000))


class Limits(TwilioTest):
    arguments = ("--items-max", "2", "--digits-max", "17", "--rate-per-minute", "4")

    def test_limits_are_options(self):
        self.reported("1.2345678901234567", "1")
        self.assertEqual(refusal(self.twilio.report("1", "1", "1")), (400, 20001))
        self.assertEqual(refusal(self.twilio.report("1.23456789012345678")), (400, 20001))
        self.assertEqual(len(self.charged()), 2)

    def test_requests_beyond_the_rate_are_throttled_and_not_charged(self):
        for _ in range(4):
            self.reported("1")
        answer = self.twilio.report("1")
        self.assertEqual(refusal(answer), (429, 20429))
        self.assertEqual(self.totals(), {(INSTALLATION, sid(0)): "4"})
        self.created(**usage())  # the other vendor has a limit of its own
        self.sandbox.advance(answer.headers["Retry-After"])
        self.reported("1")


class Preview(TwilioTest):
    def test_charges_and_credits_add_up(self):
        for quantity in ("10", "-10", "0.1", "0.2", "-0.05"):
            answer = self.twilio.quantity(quantity)
            self.assertEqual((answer.status, answer.body), (202, b"202 Accepted"))
        self.assertEqual(self.charged()[:2], [("preview", None, "10"), ("preview", None, "-10")])
        self.assertEqual(self.totals(), {(INSTALLATION, None): "0.25"})
        self.twilio.quantity("-1")
        self.assertEqual(self.totals(), {(INSTALLATION, None): "-0.75"})

    def test_a_repeat_is_charged_again(self):
        for _ in range(3):
            self.twilio.quantity("7")
        self.assertEqual(self.totals(), {(INSTALLATION, None): "21"})

    def test_what_is_no_number_above_or_below_zero_is_refused(self):
        wrong = ["0", "-0", "0.00", "", "x", "1e3", "%2B1", "1,5", ".5", "--1", "1" * 41, "1&Quantity=2", "1&Sid=x"]
        for quantity in wrong:
            self.assertEqual(refusal(self.twilio.quantity(quantity)), (400, 20001), quantity)
        for body in ("", "quantity=1"):
            self.assertEqual(refusal(self.twilio.call("POST", PREVIEW_PATH, body)), (400, 20001), body)
        self.assertEqual(refusal(self.twilio.post(items_json("1"), PREVIEW_PATH)), (415, 20001))
        self.assertEqual(self.charged(), [])


class BothApis(TwilioTest):
    def test_both_need_the_account_and_its_token(self):
        for authorization in (
            basic(ACCOUNT, "wrong"),
            basic("AC" + "0" * 32, TOKEN),
            basic("test_key"),
            "Bearer " + TOKEN,
            "Basic !!!",
        ):
            api = self.client(authorization)
            for answer in (api.report("1"), api.quantity("1")):
                self.assertEqual(refusal(answer), (401, 20003), authorization)
                self.assertIn("Basic", answer.headers["WWW-Authenticate"])
        self.assertEqual(self.charged(), [])

    def test_an_api_key_is_an_account_too(self):
        key = "SK" + "c" * 32
        sandbox = Sandbox("--account", key, "--token", "a:b")
        self.addCleanup(sandbox.stop)
        api = TwilioApi(sandbox.port, basic(key, "a:b"))
        self.addCleanup(api.close)
        self.assertEqual(api.report("1").status, 202)
        done = subprocess.run([PROGRAM, "--account", "me"], capture_output=True, text=True, timeout=10)
        self.assertEqual(done.returncode, 2)

    def test_wrong_installations_paths_and_methods_are_refused(self):
        for path in (
            v1_path("XE" + "a" * 31),
            v1_path("BI" + "a" * 32),
            v1_path("XE" + "g" * 32),
            v1_path() + "/",
            "/v1/InstalledAddOns",
            PREVIEW_PATH[:-1],
        ):
            self.assertEqual(refusal(self.twilio.post(items_json("1"), path)), (404, 20404), path)
        for path in (v1_path(), PREVIEW_PATH):
            for method in ("GET", "DELETE"):  # no read-back
                answer = self.twilio.call(method, path)
                self.assertEqual((refusal(answer), answer.headers["Allow"]), ((405, 20004), "POST"))

    def test_installations_are_billed_apart_and_beside_the_other_vendor(self):
        self.created(**usage(quantity="3"))
        before = int(time.time())
        self.reported("1.5")
        self.reported("2", installation=OTHER)
        self.twilio.quantity("4")
        ledger = self.sandbox.ledger()
        self.assertEqual(
            ledger["charge_totals"],
            [
                {"installation": OTHER, "sid": sid(0), "quantity": "2", "charges": 1},
                {"installation": INSTALLATION, "sid": None, "quantity": "4", "charges": 1},
                {"installation": INSTALLATION, "sid": sid(0), "quantity": "1.5", "charges": 1},
            ],
        )
        self.assertTrue(before <= ledger["charges"][0]["time"] <= time.time())
        self.assertEqual([(row["item_price_id"], row["quantity"]) for row in ledger["totals"]], [("sms-usd", "3")])
        self.assertEqual(ledger["requests"], 4)

    def test_requests_show_what_was_charged(self):
        self.reported("1.5", "2")
        self.twilio.quantity("-4")
        self.twilio.report("0")
        log = self.sandbox.requests()
        charged = [[(charge["sid"], charge["quantity"]) for charge in entry["charges"]] for entry in log]
        self.assertEqual(charged, [[(sid(0), "1.5"), (sid(1), "2")], [(None, "-4")], []])
        self.assertEqual([entry["applied"] for entry in log], [True, True, False])
        self.assertEqual([(entry["status"], entry["error"]) for entry in log], [(202, None), (202, None), (400, 20001)])
        self.assertEqual((log[0]["path"], log[0]["body"]), (v1_path(), items_json("1.5", "2")))
        self.assertNotIn("authorization", dict(log[0]["headers"]))


class ChargesOfAProcess(unittest.TestCase):
    def test_charges_survive_a_kill_in_the_ledger_file(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "ledger"
            first = self.start(path)
            self.api_of(first).report("0.1", "0.2")
            self.api_of(first).quantity("-3")
            chargebee = first.api()
            self.addCleanup(chargebee.close)
            self.assertEqual(chargebee.create(**usage()).status, 200)
            before = first.ledger()
            first.stop(signal.SIGKILL)
            ops = [json.loads(line)["op"] for line in path.read_text().splitlines()]
            self.assertEqual(ops, ["charge", "charge", "create"])
            with open(path, "ab") as file:
                file.write(b'{"op":"charge","charges":[{"api":"v1"')  # a line cut off by the kill
            second = self.start(path)
            for name in ("charges", "charge_totals", "usages", "totals"):
                self.assertEqual(second.ledger()[name], before[name])
            self.api_of(second).quantity("3")
            self.assertEqual(second.ledger()["charge_totals"][0]["quantity"], "0")

    def start(self, path):
        sandbox = Sandbox("--ledger", path)
        self.addCleanup(sandbox.stop)
        return sandbox

    def api_of(self, sandbox):
        api = TwilioApi(sandbox.port)
        self.addCleanup(api.close)
        return api
