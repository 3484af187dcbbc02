"""Twilio's two usage APIs as upstreams, which can neither be asked twice nor asked what they have: nothing is charged
twice, and what nobody can tell is shown to the last digit."""

import json
import signal
from decimal import Decimal

import twilio
from contract_case import FORM, ContractTest, words
from harness import wait_until
from twilio import billing_sid
from verdict import exact_sum

EXIT_FINE, EXIT_FAILED, EXIT_ATTENTION = 0, 1, 4
FIRST, SECOND = twilio.installation("a"), twilio.installation("b")
PRICE = Decimal("0.0075")
# What leaves nothing in doubt: nothing was charged, and the client may know it.
CERTAIN = ("error_429", "error_429_bare", "partial", "float_total", "delay", "slow")


class AtTwilio(ContractTest):
    kind = twilio.V1

    def setUp(self):
        super().setUp()
        self.sandbox = self.make_sandbox()
        self.token = twilio.write_token(self.directory)

    def begin(self, meters=1, **keys):
        """Meter n counts the event `e<n>` as billing sid n."""
        price = PRICE if self.kind == twilio.V1 else None
        rules = "".join(twilio.meter(f"e{n}", billing_sid(n), "marketplace", price) for n in range(meters))
        upstream = twilio.upstream("marketplace", self.kind, self.sandbox.port, self.token, **keys)
        self.device.config_file.write_text(self.device.config(()) + upstream + rules)
        self.device.start()

    def count(self, quantity, event="e0", subscription=FIRST):
        report = ("report", event, "--subscription", subscription, "--quantity", str(quantity), "--ack", "committed")
        code, text = self.device.ctl(*report)
        self.assertEqual(code, EXIT_FINE, text)

    def flush(self):
        self.assertEqual(self.device.ctl("flush", "--now")[0], EXIT_FINE)

    def bill(self, quantity, **options):
        """Counted, sealed and sent, whatever that comes to."""
        self.count(quantity, **options)
        self.flush()

    def outbox(self, *options):
        return json.loads(self.device.ctl("--json", "outbox", *options)[1])["outbox"]

    def wait_for(self, state, count=1):
        return wait_until(f"{count} usages are {state}", lambda: self.rows(state, count), 20)

    def rows(self, state, count):
        # Shown as waiting before and while it is sent, too: an answer leaves its error.
        rows = [row for row in self.outbox() if row["state"] == state and row["last_error"]]
        return rows if len(rows) == count else None

    def charged(self):
        """What the sandbox has charged, in all."""
        return exact_sum(Decimal(row["quantity"]) for row in self.sandbox.ledger()["charge_totals"])

    def requests(self):
        return [request for request in self.sandbox.requests() if request["path"].endswith("/Usage")]

    def assert_sound(self):
        code, text = self.device.ctl("verify")
        self.assertEqual(code, EXIT_FINE, text)


class TwilioUsage(AtTwilio):
    def test_units_become_money_and_what_rounding_leaves_is_carried_on(self):
        self.begin()
        for _ in range(4):
            self.bill(1)  # 0.0075
            self.device.drain(20)
        self.assertEqual(self.charged(), Decimal("0.03"))
        self.bill("1646.5")
        self.device.drain(20)
        self.assertEqual(self.charged(), Decimal("12.37"), "1650.5 units are 12.37875")
        (row,) = self.sandbox.ledger()["charge_totals"]
        self.assertEqual((row["installation"], row["sid"]), (FIRST, billing_sid(0)))
        balances = self.device.balances().values()
        self.assertEqual(exact_sum(Decimal(row["delivered"]) for row in balances), Decimal("1650.5"))
        self.assertLess(row["charges"], 5, "an amount of nothing is not sent")
        self.assert_sound()

    def test_many_items_of_an_installation_go_in_one_request(self):
        self.begin(meters=150, batch=100)
        self.sandbox.set_faults({"script": ["error_429"], "retry_after": "2"})  # all of them wait together
        for n in range(150):
            self.count(n + 2, event=f"e{n}")
        self.count(1000, subscription=SECOND)
        self.flush()
        self.device.drain(30)
        sizes = [len(request["charges"]) for request in self.requests() if request["status"] == 202]
        self.assertEqual(sum(sizes), 151)
        self.assertLessEqual(len(sizes), 4)
        exact = exact_sum((Decimal(n + 2) * PRICE).quantize(Decimal("0.01"), "ROUND_DOWN") for n in range(150))
        self.assertEqual(self.charged(), exact + 1000 * PRICE)

    def test_each_fault_charges_once_or_is_in_doubt(self):
        self.begin()
        counted = 0
        for kind in ("drop_before", "drop_after", "reset_before", "reset_after", "truncate", "garbage", "garbage_json",
                     "error_500", "error_500_after", "error_503", "error_502_html", "captive_portal",
                     "captive_redirect", "wrong_total", "fewer_items", "wrong_type", *CERTAIN):
            with self.subTest(kind):
                before = self.charged()
                self.sandbox.set_faults({"script": [kind], "retry_after": "1", "delay_seconds": 0.3})
                self.bill(400)  # 3.00
                counted += 3
                if kind in CERTAIN:
                    self.sandbox.steer("advance", seconds=120)
                    self.device.drain(90)
                    self.assertEqual(self.charged() - before, 3)
                    continue
                (row,) = self.wait_for("in_doubt")
                self.assertEqual((row["amount"], row["quantity"], row["attempts"]), ("3", "400", 1))
                was_charged = self.charged() > before
                code, text = self.device.ctl("outbox", "--in-doubt")
                self.assertEqual(code, EXIT_ATTENTION)
                self.assertIn("amount 3, sent ", words(text))
                self.bill(800, subscription=SECOND)  # others go on
                counted += 6
                self.device.ctl("flush")
                wait_until("the next one is charged", lambda: self.charged() >= before + 6, 20)
                # Charged comes before the receipt's commit.
                wait_until("the next one has its receipt", lambda: len(self.outbox()) == 1, 20)
                self.assertEqual(self.outbox()[0]["id"], row["id"])
                self.assertEqual(self.charged() - before, 9 if was_charged else 6, "nothing is sent again by itself")
                answer = "--delivered" if was_charged else "--not-delivered"
                resolve = ("resolve", row["id"], answer, "--reason", f"the console says so: {kind}")
                self.assertEqual(self.device.ctl(*resolve)[0], EXIT_FINE)
                self.device.drain(20)
                self.assertEqual(self.charged() - before, 9)
        self.assertEqual(self.charged(), counted)
        self.assertIn("the console says so: garbage_json", words(self.device.ctl("audit")[1]))
        self.assert_sound()

    def test_what_was_left_out_of_an_answer_is_sent_again_and_nothing_else(self):
        self.begin(meters=7)
        self.sandbox.set_faults({"script": ["error_429", "partial"], "retry_after": "1"})
        for n in range(7):
            self.count(400, event=f"e{n}")
        self.flush()
        self.device.drain(30)
        self.assertEqual(self.charged(), 21)
        self.assertEqual(sorted(row["charges"] for row in self.sandbox.ledger()["charge_totals"]), [1] * 7)

    def test_of_a_refused_request_only_what_is_wrong_is_parked(self):
        self.begin(meters=3)
        self.sandbox.set_faults({"script": ["error_400", "ok", "error_400", "ok"]})  # together, then each alone
        for n in range(3):
            self.count(400, event=f"e{n}")
        self.flush()
        (row,) = self.wait_for("parked")
        wait_until("the others are charged", lambda: self.charged() == 6, 20)
        code, text = self.device.ctl("retry", row["id"])
        self.assertEqual(code, EXIT_FINE, text)
        self.device.drain(20)
        self.assertEqual(self.charged(), 9)

    def test_nothing_that_is_certain_may_be_resolved(self):
        self.begin()
        code, text = self.device.ctl("resolve", "nobody", "--delivered", "--reason", "r")
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("there is no usage nobody", text)
        self.sandbox.set_faults({"script": ["error_403"]})
        self.bill(400)
        (row,) = self.wait_for("waiting")
        resolve = ("resolve", row["id"], "--delivered", "--reason", "r")  # "is being sent" until its answer is settled
        wait_until("it is refused", lambda: "is waiting, not in doubt" in words(self.device.ctl(*resolve)[1]), 20)
        self.assertEqual(self.device.ctl("retry", row["id"])[0], EXIT_FAILED)
        self.assertEqual(self.charged(), 0)

    def test_a_kill_while_a_request_is_answered_leaves_it_in_doubt(self):
        self.begin()
        self.sandbox.set_faults({"script": ["delay"], "delay_seconds": 5})
        self.bill(400)
        wait_until("it is charged", lambda: self.charged() == 3, 20)
        self.device.kill()
        self.device.start()
        (row,) = self.wait_for("in_doubt")  # as the intent has it, before it is looked at
        left = "before an answer was known"
        wait_until("it is told why", lambda: left in self.wait_for("in_doubt")[0]["last_error"], 20)
        wait_until("it is logged", lambda: "event=usages_in_doubt" in self.device.log_tail(), 20)
        code, text = self.device.ctl("status")
        self.assertEqual(code, EXIT_ATTENTION)
        self.assertIn("in doubt: hold, 1 now", words(text))
        text = self.device.config_file.read_text().replace("[[meter]]", 'in_doubt = "resend"\n[[meter]]', 1)
        self.device.config_file.write_text(text)
        self.device.process.send_signal(signal.SIGHUP)
        declared = "in doubt: resend, 1 now"  # it is the operator's, whatever is declared later
        wait_until("it is reloaded", lambda: declared in words(self.device.ctl("status")[1]), 20)
        code, text = self.device.ctl("withdraw", row["id"], "--reason", "r")
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("resolve it first", words(text))
        self.device.ctl("resolve", row["id"], "--delivered", "--reason", "the console has it")
        self.assertEqual(self.outbox(), [])
        self.assertEqual(self.charged(), 3)
        code, text = self.device.ctl("withdraw", row["id"], "--reason", "r")
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("takes nothing back", words(text))

    def test_what_was_proven_not_to_be_there_may_be_given_up(self):
        self.begin()
        self.sandbox.set_faults({"script": ["drop_before"]})
        self.bill(400)
        (row,) = self.wait_for("in_doubt")
        resolve = ("resolve", row["id"], "--not-delivered", "--reason", "the console has it not")
        self.assertEqual(self.device.ctl(*resolve)[0], EXIT_FINE)
        code, text = self.device.ctl(*resolve)
        self.assertEqual(code, EXIT_FAILED, "it waits, and is not in doubt any more")
        code, text = self.device.ctl("withdraw", row["id"], "--reason", "billed by hand")
        self.assertEqual(code, EXIT_FINE, text)
        self.device.drain(20)
        self.assertEqual(self.charged(), 0)
        self.assert_sound()

    def test_an_answer_that_is_never_understood_is_not_billed_for_ever(self):
        self.begin(in_doubt='"resend"')
        self.sandbox.set_faults({"script": ["wrong_total"] * 9})
        self.bill(400)
        (row,) = self.wait_for("waiting")
        self.device.ctl("flush")
        (row,) = self.wait_for("in_doubt")
        self.device.ctl("flush")
        self.assertEqual((self.charged(), row["attempts"]), (6, 2), "once more, as declared, and then it is held")

    def test_what_was_made_for_another_kind_is_parked(self):
        self.begin()
        self.sandbox.set_faults({"script": ["error_403"]})
        self.bill(400)
        self.wait_for("waiting")
        self.terminate()
        text = self.device.config_file.read_text().replace("twilio-v1", "twilio-preview")
        self.device.config_file.write_text(text)
        self.device.start()
        self.device.ctl("flush")
        (row,) = self.wait_for("parked")
        self.assertIn("another kind of upstream", row["last_error"])
        self.assertEqual(self.charged(), 0)

    def test_a_declared_policy_decides_and_says_so(self):
        for policy, charged in (("resend", 6), ("assume-delivered", 3)):
            with self.subTest(policy):
                self.device = self.make_device(policy)
                self.begin(in_doubt=f'"{policy}"')
                (upstream,) = [row for row in self.device.get("/status")["upstreams"] if row["name"] == "marketplace"]
                self.assertEqual((upstream["in_doubt_policy"], upstream["in_doubt"]), (policy, 0))
                self.assertIn(f"in doubt: {policy}, none now", words(self.device.ctl("status")[1]))
                before = self.charged()
                self.sandbox.set_faults({"script": ["drop_after"]})
                self.bill(400)
                self.device.drain(30)
                self.assertEqual(self.charged() - before, charged)
                audit = words(self.device.ctl("audit")[1])
                self.assertRegex(audit, f'1 in doubt at marketplace: in_doubt = "{policy}": [a-z0-9-]+ .400, amount 3.')
                self.terminate()

    def test_a_refusal_of_what_the_policy_sent_again_leaves_the_first_request_in_doubt(self):
        self.begin(in_doubt='"resend"')
        self.sandbox.set_faults({"script": ["drop_after", "error_400"]})
        self.bill(400)
        wait_until("it is sent again", lambda: self.device.ctl("flush") and len(self.requests()) == 2, 20)
        (row,) = self.wait_for("in_doubt")
        self.assertEqual((row["attempts"], self.charged()), (2, 3))
        self.assertNotEqual(self.device.ctl("withdraw", row["id"], "--reason", "refused")[0], EXIT_FINE)

    def test_the_policy_decides_of_what_a_kill_left(self):
        self.begin(in_doubt='"assume-delivered"')
        self.sandbox.set_faults({"script": ["delay"], "delay_seconds": 5})
        self.bill(400)
        wait_until("it is charged", lambda: self.charged() == 3, 20)
        self.device.kill()
        self.device.start()
        wait_until("the outbox is empty", lambda: not self.outbox(), 20)
        self.assertEqual(self.charged(), 3)
        self.assertIn("1 in doubt at marketplace", words(self.device.ctl("audit")[1]))
        self.assert_sound()

    def test_what_no_installation_has_is_refused(self):
        self.begin()
        code, text = self.device.ctl("report", "e0", "--subscription", "sub_1")
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("installation's sid", words(text))
        code, text = self.device.ctl("report", "e0", "--subscription", FIRST, "--quantity", "0." + "0" * 26 + "1")
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("bad_quantity", text)


class TwilioPreviewUsage(AtTwilio):
    kind = twilio.PREVIEW

    def test_units_are_charged_one_usage_a_request(self):
        self.begin(meters=2)
        self.bill("2.5")
        self.bill(7, event="e1")
        self.device.drain(20)
        self.assertEqual(self.charged(), Decimal("9.5"))
        self.assertEqual([request["status"] for request in self.requests()], [202, 202])
        self.sandbox.set_faults({"script": ["drop_after"]})
        self.bill(1)
        (row,) = self.wait_for("in_doubt")
        self.assertEqual(row["quantity"], "1")
        self.assertEqual(self.charged(), Decimal("10.5"))


class TwilioCaller(AtTwilio):
    """The same APIs served on the device: what callers report is delivered to the upstream that is there."""

    def configure(self, preview_as="", upstream=True):
        self.begin()
        self.terminate()
        text = self.device.config_file.read_text()
        if not upstream:
            text = self.device.config(())
        self.device.config_file.write_text(text.replace("[api]\n", f"[api]\n{preview_as}"))
        self.device.start()

    def v1(self, *items, installation=FIRST):
        body = json.dumps({"billable_items": [{"sid": sid, "quantity": quantity} for sid, quantity in items]})
        path = f"/v1/InstalledAddOns/{installation}/Usage"
        status, answer = self.device.request("POST", path, body, {"Content-Type": "application/json"})
        return status, json.loads(answer)

    def preview(self, quantity, installation=FIRST):
        path = f"/marketplace/InstalledAddOns/{installation}/Usage"
        return self.device.request("POST", path, f"Quantity={quantity}", FORM)


class TwilioCalls(TwilioCaller):
    def test_items_are_delivered_as_they_were_billed_here(self):
        self.configure()
        self.sandbox.set_faults({"script": ["error_429", "partial"], "retry_after": "1"})
        status, answer = self.v1((billing_sid(5), 12.355), (billing_sid(5), 44.02), (billing_sid(6), 1))
        self.assertEqual((status, answer["total_submitted"]), (202, 57.375))
        self.assertEqual(self.v1((billing_sid(5), 2), installation=SECOND)[0], 202)
        self.device.drain(60)
        self.assertEqual(self.charged(), Decimal("59.375"))
        self.assert_sound()

    def test_what_the_vendor_would_round_is_refused(self):
        self.configure()
        status, answer = self.v1((billing_sid(5), 12345678901234.56))
        self.assertEqual((status, answer["code"]), (400, 20001))
        self.assertIn("15 digits", answer["message"])

    def test_a_preview_caller_is_moved_to_v1_and_its_credits_are_refused(self):
        sid = billing_sid(9)
        self.configure(f'preview_as = {{ item_price = "{sid}", unit_price = "0.0075" }}\n')
        for quantity in ("1", "1650", "0.5"):  # 0.0075, 12.375, 0.00375
            self.assertEqual(self.preview(quantity), (202, b"202 Accepted"))
        status, answer = self.preview("-10")
        self.assertEqual(status, 400)
        self.assertIn("V1 API, which has none", json.loads(answer)["message"])
        self.device.drain(30)
        self.assertEqual(self.charged(), Decimal("12.38"))
        (row,) = self.sandbox.ledger()["charge_totals"]
        self.assertEqual(row["sid"], sid)
        balances = self.device.balances().values()
        self.assertEqual(exact_sum(Decimal(row["delivered"]) for row in balances), Decimal("1651.5"))
        self.assert_sound()

    def test_without_an_upstream_they_stay_here(self):
        self.configure(upstream=False)
        self.assertEqual(self.v1((billing_sid(1), 3.5))[0], 202)
        self.assertEqual(self.preview("-2")[0], 202)
        self.device.drain(20)
        delivered = sorted(Decimal(row["delivered"]) for row in self.device.balances().values())
        self.assertEqual(delivered, [Decimal("-2"), Decimal("3.5")])
        self.assert_sound()


class TwilioPreviewCalls(TwilioCaller):
    kind = twilio.PREVIEW

    def test_charges_and_credits_are_delivered(self):
        self.configure()
        for quantity in ("10", "-2.5", "0.25"):
            self.assertEqual(self.preview(quantity)[0], 202)
        self.device.drain(30)
        self.assertEqual(self.charged(), Decimal("7.75"))
        self.assert_sound()
