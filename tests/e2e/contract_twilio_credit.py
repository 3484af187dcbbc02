"""Giving back what Twilio charged too much: at a Preview upstream, by a quantity below zero, once and never more than
was charged; elsewhere it says what to do instead."""

import datetime
import json
import os
from decimal import Decimal

from contract_case import words
from contract_twilio import EXIT_FAILED, EXIT_FINE, AtTwilio, billing_sid
from harness import wait_until
from verdict import exact_sum


class Crediting(AtTwilio):
    kind = "twilio-preview"

    def delivered(self, quantity):
        """The id of a usage that was charged."""
        self.bill(quantity)
        self.device.drain(20)
        rows = json.loads(self.device.ctl("--json", "usages")[1])["usages"]
        (usage,) = [row["usage"]["id"] for row in rows if row["usage"]["quantity"] == str(quantity)]
        return usage

    def credit(self, usage, quantity, *options, reason="counted twice"):
        code, text = self.device.ctl("credit", usage, "--quantity", quantity, "--reason", reason, *options)
        return code, words(text)

    def quantities(self):
        """What the sandbox was sent, in order."""
        return [Decimal(charge["quantity"]) for request in self.requests() for charge in request["charges"]]


class TwilioCredit(Crediting):
    def test_what_was_charged_too_much_is_given_back_once(self):
        self.begin()
        usage = self.delivered(10)
        code, text = self.credit(usage, "2.5", "--id", "c1")
        self.assertEqual(code, EXIT_FINE, text)
        self.assertIn(f"c1, -2.5 of {billing_sid(0)}: waiting; credit of {usage}: counted twice", text)
        self.device.drain(20)
        self.assertEqual(self.credit(usage, "2.5", "--id", "c1")[0], EXIT_FINE, "the same one")
        code, text = self.credit(usage, "8")
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn(f"{usage} charged 10, of which 2.5 is credited: 7.5 is left, and 8 is more", text)
        self.assertIn("is a credit itself", self.credit("c1", "1")[1])
        self.assertEqual(self.credit(usage, "7.5")[0], EXIT_FINE)
        self.device.drain(20)
        self.assertEqual(self.quantities(), [10, Decimal("-2.5"), Decimal("-7.5")])
        self.assertEqual(exact_sum(Decimal(row["delivered"]) for row in self.device.balances().values()), 0)
        audit = words(self.device.ctl("audit")[1])
        self.assertIn(f"credit usage {usage}, 2.5 of it, as c1: counted twice", audit)
        self.assertEqual(audit.count("counted twice"), 2)
        self.assertIn("credited: 10", words(self.device.ctl("usages")[1]))
        self.assert_sound()

    def test_a_kill_leaves_one_credit_and_its_sum(self):
        self.begin()
        usage = self.delivered(10)
        self.sandbox.set_faults({"script": ["error_429"], "retry_after": "2"})
        self.assertEqual(self.credit(usage, "4", "--id", "c1")[0], EXIT_FINE)
        wait_until("it is refused for now", lambda: [row for row in self.outbox() if "429" in row["last_error"]], 20)
        self.device.kill()
        self.device.start()
        self.assertEqual(self.credit(usage, "4", "--id", "c1")[0], EXIT_FINE, "whose answer may have been lost")
        self.device.drain(30)
        self.assertEqual([quantity for quantity in self.quantities() if quantity < 0], [-4])
        self.assertEqual(self.charged(), 6)
        self.sandbox.set_faults({"script": ["delay"], "delay_seconds": 5})
        self.assertEqual(self.credit(usage, "1", "--id", "c2")[0], EXIT_FINE)
        wait_until("it is credited", lambda: self.charged() == 5, 20)
        self.device.kill()
        self.device.start()
        (row,) = self.wait_for("in_doubt")
        self.assertEqual((row["id"], row["quantity"]), ("c2", "-1"))
        self.assertIn("5 is credited: 5 is left", self.credit(usage, "6")[1])
        resolve = ("resolve", "c2", "--delivered", "--reason", "the console has it")
        self.assertEqual(self.device.ctl(*resolve)[0], EXIT_FINE)
        self.assertEqual(self.charged(), 5)
        self.assert_sound()

    def test_what_cannot_be_credited_says_what_to_do_instead(self):
        self.begin()
        usage = self.delivered(10)
        for quantity in ("0", "0.0", "-1", "1e3", "x", "0." + "0" * 37 + "1", "9" * 40):
            code, text = self.credit(usage, quantity)
            self.assertEqual(code, EXIT_FAILED, quantity)
            self.assertIn("quantity is a decimal above zero of at most 39 characters", text, quantity)
        code, text = self.credit(usage, "9" * 39)
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn(f"{usage} charged 10, of which 0 is credited: 10 is left, and {'9' * 39} is more", text)
        self.assertIn("there is no usage nobody", self.credit("nobody", "1")[1])
        self.assertEqual(self.device.ctl("credit", usage, "--quantity", "1")[0], 2, "without a reason")
        self.sandbox.set_faults({"script": ["error_403"]})
        self.bill(3)
        (row,) = self.wait_for("waiting")
        self.assertIn("is waiting, and nothing is charged yet: withdraw it", self.credit(row["id"], "1")[1])
        self.assertEqual(self.charged(), 10)
        self.assert_sound()


class TwilioAudit(Crediting):
    """Who did what, when and why: of each of an operator's acts on a usage."""

    def act(self, *command):
        code, text = self.device.ctl(*command)
        self.assertEqual(code, EXIT_FINE, text)

    def in_trouble(self, fault, state, quantity):
        self.sandbox.set_faults({"script": [fault]})
        self.bill(quantity)
        (row,) = self.wait_for(state)
        return row["id"]

    def test_every_act_is_kept_with_who_and_why(self):
        self.begin()
        charged = self.delivered(10)
        self.act("credit", charged, "--quantity", "1", "--reason", "why 1", "--id", "c1")
        self.device.drain(20)
        lost = self.in_trouble("drop_before", "in_doubt", 3)
        self.act("resolve", lost, "--not-delivered", "--reason", "why 2")
        self.act("withdraw", lost, "--reason", "why 3")
        billed = self.in_trouble("drop_after", "in_doubt", 4)
        self.act("resolve", billed, "--delivered", "--reason", "why 4")
        refused = self.in_trouble("error_400", "parked", 5)
        self.act("retry", refused, "--reason", "why 5")
        self.device.drain(20)
        rows = json.loads(self.device.ctl("--json", "audit")[1])["audit"]
        self.assertEqual(
            [(row["act"], row["detail"]) for row in reversed(rows)],
            [("credit", f"usage {charged}, 1 of it, as c1: why 1"),
             ("resolve as not delivered", f"usage {lost}: why 2"),
             ("withdraw", f"usage {lost}: why 3"),
             ("resolve as delivered", f"usage {billed}: why 4"),
             ("retry", f"usage {refused}: why 5")])
        for row in rows:
            self.assertEqual(row["by"], f"user {os.getuid()}")
            self.assertGreater(datetime.datetime.fromisoformat(row["at"]).timestamp(), self.began)
        self.device.kill()
        self.device.start()
        self.assertEqual(json.loads(self.device.ctl("--json", "audit")[1])["audit"], rows)
        self.assertEqual(self.charged(), 18)
        self.assert_sound()


class TwilioCreditAtV1(Crediting):
    kind = "twilio-v1"

    def test_v1_takes_no_credits(self):
        self.begin()
        usage = self.delivered(400)
        code, text = self.credit(usage, "1")
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("Twilio Marketplace V1 takes no negative quantities", text)
        self.assertEqual(self.charged(), 3)
        self.assertNotIn("credit", self.device.ctl("audit")[1])
        code, text = self.device.ctl("usages")
        self.assertIn("amount 3 = 400 at 0.0075 + carry in 0 - carry out 0", words(text))
