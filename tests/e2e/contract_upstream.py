"""Delivery as the outside sees it: an upstream that is away, that hangs, and that comes back."""

from decimal import Decimal

from contract_case import ContractTest
from harness import free_port, wait_until
from verdict import billed_totals, compare_balances, created_twice, exact_sum


class Upstream(ContractTest):
    def assert_billed(self, sandbox, total):
        billed = billed_totals(sandbox.ledger())
        self.assertEqual(exact_sum(billed.values()), Decimal(total))
        self.assertEqual(compare_balances(self.device.balances(), billed), [])
        self.assertEqual(created_twice(sandbox.created_ids()), [])
        self.assertEqual(self.device.ctl("verify")[0], 0)

    def waiting(self):
        return self.device.get("/operator/outbox")["outbox"]

    def state(self):
        return self.device.get("/status")["upstreams"][0]["state"]

    def test_usages_wait_while_nothing_listens_and_are_delivered_once_it_does(self):
        port = free_port()
        self.start(upstream_port=port)
        self.report(10)
        wait_until("a usage waits after a failed attempt", lambda: any(row["attempts"] for row in self.waiting()), 20)
        self.terminate()
        self.device.start()
        self.report(5)
        rows = wait_until("the second usage waits too", lambda: len(self.waiting()) == 2 and self.waiting(), 20)
        self.assertEqual({row["state"] for row in rows}, {"waiting"})
        self.assertEqual(sum(Decimal(row["quantity"]) for row in rows), 15)
        self.assertIn(self.device.ctl("outbox")[0], (0, 4))
        sandbox = self.make_sandbox(port=port)
        self.device.drain(30)
        self.assert_billed(sandbox, 15)

    def test_an_answer_that_never_comes_does_not_hold_up_sigterm_nor_counts_twice(self):
        sandbox = self.make_sandbox(faults={"rate": 1, "kinds": ["stall_after"]})
        self.start(upstream_port=sandbox.port)
        self.report(10)
        wait_until("the usage is applied", lambda: sandbox.ledger()["usages"], 20)
        self.terminate()
        sandbox.set_faults(None)
        self.device.start()
        self.report(1)
        self.device.drain(30)
        self.assert_billed(sandbox, 11)

    def test_refused_credentials_pause_the_upstream_and_never_the_data(self):
        sandbox = self.make_sandbox(faults={"rate": 1, "kinds": ["error_401"]})
        self.start(upstream_port=sandbox.port)
        self.report(10)
        wait_until("/status says unauthorised", lambda: self.state() == "unauthorised", 20)
        self.assertEqual(self.device.ctl("status")[0], 4)
        sandbox.set_faults(None)
        self.device.drain(30)
        self.assert_billed(sandbox, 10)
        self.assertEqual(self.device.ctl("status")[0], 0)

    def test_quantities_beyond_forty_characters_are_billed_to_the_last_place(self):
        sandbox = self.make_sandbox()
        self.start(upstream_port=sandbox.port)
        large, small = "1" + "0" * 30, "0." + "0" * 30 + "1"
        for _ in range(3):
            ack = self.connect().ask(self.batch([{"quantity": each} for each in (large, small, "9" * 40)]))
            self.assertEqual((ack.counted, ack.error), (3, ""))
        self.device.drain(30)
        total = sum(map(int, (large, "9" * 40))) * 3
        self.assert_billed(sandbox, f"{total}.{'0' * 30}3")
