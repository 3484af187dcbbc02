"""Faults by chance: the spec, the seed, and what clients of two kinds make of them.

Part of sandbox_test.py; alone: `python3 -m unittest chance_test`.
"""

import http.client
import unittest

from harness import Sandbox, usage
from sandbox import faults


class RandomFaults(unittest.TestCase):
    """The kinds of `all`, met by the least client there is: it sends again until it has an answer that it takes."""

    USAGES = 60

    def bill(self, form_of):
        """The ledger after a client has billed every usage; `form_of(number, attempt)` is what it sends."""
        sandbox = Sandbox("--seed", "7", "--faults", '{"rate": 0.5, "delay_seconds": 0.01}')
        self.addCleanup(sandbox.stop)
        for number in range(self.USAGES):
            if not any(self.accepted(sandbox, form_of(number, attempt)) for attempt in range(30)):
                self.fail(f"usage {number} never got through")
        return sandbox.ledger()

    def accepted(self, sandbox, form):
        api = sandbox.api()
        try:
            answer = api.create(key=form["id"], **form)
            if answer.status == 200:
                return answer.json["usage"]["id"] == form["id"]
            return answer.status == 400 and answer.error[1:] == ("duplicate_entry", "id")
        except (OSError, ValueError, http.client.HTTPException):
            return False
        finally:
            api.close()

    def test_a_client_that_repeats_itself_bills_everything_once(self):
        ledger = self.bill(lambda number, attempt: usage(number))
        self.assertEqual([row["id"] for row in ledger["usages"]], [f"u{number}" for number in range(self.USAGES)])
        self.assertEqual([row["quantity"] for row in ledger["totals"]], [str(self.USAGES)])
        self.assertGreater(len(ledger["faults"]), 15, "the rate must have hit most kinds")

    def test_a_client_with_a_new_id_for_each_attempt_is_caught(self):
        ledger = self.bill(lambda number, attempt: usage(number * 100 + attempt))
        self.assertGreater(len(ledger["usages"]), self.USAGES)
        self.assertGreater(int(ledger["totals"][0]["quantity"]), self.USAGES)


class FaultSpec(unittest.TestCase):
    def test_a_list_spreads_the_rate_over_its_kinds(self):
        spec = faults.parse("all:0.3, delay:0.1, -lock_timeout")
        self.assertNotIn("lock_timeout", spec.rates)
        self.assertAlmostEqual(spec.rates["delay"], 0.1 + 0.3 / len(faults.ALL))
        self.assertEqual(faults.parse("reset_after").rates, {"reset_after": 1})
        self.assertEqual(faults.parse("").rates, {})

    def test_all_leaves_out_what_needs_an_operator(self):
        for code in (400, 401, 403, 404, 405, 409):
            self.assertNotIn(f"error_{code}", faults.ALL)
        spec = faults.parse('{"rate": 1, "kinds": ["all", "-slow"]}')
        self.assertEqual(spec.rates.keys(), set(faults.ALL) - {"slow"})

    def test_nonsense_is_refused(self):
        for text in (
            '{"rate": 1.5}',
            '{"rate": NaN}',
            '{"kind": []}',
            '{"script": ["all"]}',
            '{"script": "ok"}',
            '{"kinds": "all", "rate": 1}',
            '{"kinds": ["all", "-all"], "rate": 1}',
            '{"retry_after": "1\\r\\nX: y"}',
            '{"delay_seconds": 61}',
            '{"seed": "x"}',
            "{",
            "delay:2",
            "all:x",
        ):
            with self.assertRaises(faults.SpecError, msg=text):
                faults.parse(text)

    def test_a_seed_repeats_itself(self):
        def deal(seed):
            plan = faults.Plan(seed)
            plan.set(faults.parse("all:0.5"))
            return [plan.next() for _ in range(200)]

        self.assertEqual(deal(3), deal(3))
        self.assertNotEqual(deal(3), deal(4))
        self.assertTrue(60 < sum(kind is not None for kind in deal(3)) < 140)
