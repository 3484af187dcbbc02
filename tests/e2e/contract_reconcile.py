"""What an upstream has beside what was delivered to it, and the invoices that it put usages on."""

import contextlib
import http.client
import json
import threading
import time
import urllib.parse

from contract_case import CREDENTIALS, FORM, ContractTest, words
from harness import wait_until

EXIT_FINE, EXIT_UNREACHABLE, EXIT_ATTENTION = 0, 3, 4
PAGE = 100  # usages that an upstream lists at once


class AtUpstream(ContractTest):
    def setUp(self):
        super().setUp()
        self.sandbox = self.make_sandbox()
        self.start(upstream_port=self.sandbox.port)

    def ask_sandbox(self, method, path, body=None, headers=()):
        """The status of an answer to somebody else."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sandbox.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            return connection.getresponse().status

    def create_behind_the_device(self, usage, second, subscription="sub_1"):
        path = f"/api/v2/subscriptions/{subscription}/usages"
        status = self.ask_sandbox("POST", path, self.form(usage, second), FORM | CREDENTIALS)
        self.assertEqual(status, 200)

    def compare(self, exit_code=EXIT_FINE):
        """(what reconcile says as JSON, what it says as text): both say the same, with that exit code."""
        code, text = self.device.ctl("reconcile")
        self.assertEqual(code, exit_code, text)
        code, answer = self.device.ctl("--json", "reconcile")
        self.assertEqual(code, exit_code, answer)
        document = next(line for line in answer.splitlines() if line.startswith("{"))  # beside what it complains of
        (upstream,) = json.loads(document)["upstreams"]
        self.assertEqual((upstream["upstream"], upstream["held"]), ("billing", False))
        compared = upstream["compared"]
        found = f"{compared['missing']} missing upstream, {compared['altered']} altered or not ours, "
        self.assertIn(found + f"{compared['not_billed']} delivered but not billed", words(text))
        return compared, words(text)

    def compare_fully(self, usages):
        """Nothing may differ."""
        compared, _ = self.compare()
        self.assertEqual((compared["ended"], compared["differences"], compared["usages"]), (True, [], usages))

    def requests_since(self, count):
        return [(request["path"].split("?")[0], request["status"]) for request in self.sandbox.requests()[count:]]


class Compare(AtUpstream):
    def test_what_matches_is_counted_and_changes_nothing(self):
        self.report(3)
        self.create("usage_1", 0)
        self.create("usage_2", 0, subscription="sub_2")
        self.device.drain(30)
        before = self.sandbox.ledger()["usages"]
        compared, text = self.compare()
        numbers = {name: compared[name] for name in ("comparable", "ended", "subscriptions", "usages", "error")}
        expected = {"comparable": True, "ended": True, "subscriptions": 2, "usages": 3, "error": ""}
        self.assertEqual(numbers, expected)
        self.assertEqual((compared["differences"], compared["forgotten"], compared["invoices_noted"]), ([], 0, 0))
        self.assertIn("2 subscriptions, 3 usages, 0 invoice ids noted", text)
        self.assertNotIn("NOT COMPARED", text)
        self.assertEqual(self.sandbox.ledger()["usages"], before)

    def test_each_difference_is_named_with_its_kind(self):
        for second, usage in enumerate(("early", "billed", "changed", "gone")):
            self.create(usage, second)
        self.create("early_2", 0, subscription="sub_2")
        self.create("billed_2", 1, subscription="sub_2")
        self.create("another_price", 0, item_price="api-usd")
        self.device.drain(30)
        self.create_behind_the_device("foreign", 9)
        for usage in ("billed", "billed_2"):
            self.sandbox.steer("invoice", usage=usage, invoice="inv_1")
        self.sandbox.steer("alter", usage="changed", quantity="99")
        self.sandbox.steer("forget", usage="gone")
        compared, text = self.compare(EXIT_ATTENTION)
        self.assertEqual({(row["kind"], row["subscription_id"], row["id"]) for row in compared["differences"]},
                         {("missing", "sub_1", "gone"), ("altered", "sub_1", "changed"),
                          ("altered", "sub_1", "foreign"), ("not_billed", "sub_1", "early"),
                          ("not_billed", "sub_2", "early_2")})
        self.assertEqual((compared["missing"], compared["altered"], compared["not_billed"]), (1, 2, 2))
        self.assertEqual((compared["ended"], compared["subscriptions"], compared["usages"]), (True, 2, 8))
        for line in ("missing upstream: gone of sub_1 was delivered",
                     "altered or not ours: changed of sub_1 differs in quantity (theirs 99, ours 1)",
                     "altered or not ours: foreign of sub_1 is not ours",
                     "delivered but not billed: early of sub_1 is on no invoice",
                     "delivered but not billed: early_2 of sub_2 is on no invoice"):
            self.assertIn(line, text)
        self.assertEqual(self.device.ctl("verify")[0], EXIT_FINE)

    def test_what_is_missing_or_altered_can_be_withdrawn_and_reported_anew(self):
        self.create("gone", 0)
        self.create("changed", 1)
        self.device.drain(30)
        self.sandbox.steer("forget", usage="gone")
        self.sandbox.steer("alter", usage="changed", quantity="99")
        compared, _ = self.compare(EXIT_ATTENTION)
        self.assertEqual((compared["missing"], compared["altered"]), (1, 1))
        for second, usage in enumerate(("gone", "changed")):
            code, text = self.device.ctl("withdraw", usage, "--reason", "it is another one upstream")
            self.assertEqual(code, EXIT_FINE, text)
            self.device.drain(30)
            self.create(f"{usage}_anew", second)
        self.device.drain(30)
        self.compare_fully(2)
        self.assertEqual([(usage["id"], usage["quantity"]) for usage in self.sandbox.ledger()["usages"]],
                         [("gone_anew", "1"), ("changed_anew", "1")])

    def test_an_invoice_is_noted_guards_its_usage_and_is_cleared_again(self):
        self.create("usage_1", 0)
        self.device.drain(30)
        self.sandbox.steer("invoice", usage="usage_1", invoice="inv_1", line_item="li_1")
        code, text = self.device.ctl("reconcile")
        self.assertEqual(code, EXIT_FINE, text)
        self.assertIn("1 invoice id noted", words(text))
        self.compare_fully(1)
        self.device.kill()
        self.device.start()
        usage = self.usages()["usage_1"]
        self.assertEqual((usage["invoice_id"], usage["line_item_id"], usage["billing"]), ("inv_1", "li_1", "invoiced"))
        self.assertIn("on invoice inv_1, line li_1", self.device.ctl("usages", "--invoice", "inv_1")[1])
        self.assertEqual(self.delete("usage_1"), (409, "invalid_state_for_request"))

        self.sandbox.steer("invoice", usage="usage_1", invoice="")
        self.compare_fully(1)
        usage = self.usages()["usage_1"]
        self.assertFalse(usage.keys() & {"invoice_id", "line_item_id"}, usage)
        self.assertEqual(usage["billing"], "open")
        self.assertEqual(self.delete("usage_1"), (200, None))
        self.device.drain(30)
        self.assertEqual(self.sandbox.ledger()["usages"], [])
        self.compare_fully(0)

    def test_usages_of_many_pages_are_all_compared_and_looked_for(self):
        for second in range(2 * PAGE + 20):
            self.create(f"usage_{second}", second)
        self.device.drain(60)
        before = len(self.sandbox.requests())
        self.compare_fully(2 * PAGE + 20)
        self.assertEqual(self.requests_since(before), [("/api/v2/usages", 200)] * 3 * 2)  # as text and as JSON
        edges = (0, PAGE - 1, PAGE, 2 * PAGE - 1, 2 * PAGE, 2 * PAGE + 19)
        for edge in edges[::2]:
            self.sandbox.steer("alter", usage=f"usage_{edge}", quantity="2")
        for edge in edges[1::2]:
            self.sandbox.steer("forget", usage=f"usage_{edge}")
        compared, _ = self.compare(EXIT_ATTENTION)
        self.assertEqual({(row["kind"], row["id"]) for row in compared["differences"]},
                         {("altered", f"usage_{edge}") for edge in edges[::2]}
                         | {("missing", f"usage_{edge}") for edge in edges[1::2]})
        self.assertEqual(compared["usages"], 2 * PAGE + 20)

    def test_an_upstream_that_is_away_is_told_and_nothing_is_lost(self):
        self.create("usage_1", 0)
        self.device.drain(30)
        self.sandbox.steer("invoice", usage="usage_1", invoice="inv_1")
        port = self.sandbox.port
        self.sandbox.stop()
        compared, text = self.compare(EXIT_ATTENTION)
        self.assertIn("NOT COMPARED TO ITS END: subscription sub_1: connect: Connection refused", text)
        self.assertEqual((compared["ended"], compared["usages"], compared["differences"]), (False, 0, []))
        self.assertIn("Connection refused", compared["error"])
        self.assertEqual(self.usages()["usage_1"]["billing"], "open")
        self.sandbox = self.make_sandbox(port=port)
        self.compare_fully(1)
        self.assertEqual(self.usages()["usage_1"]["billing"], "invoiced")
        self.assertEqual(self.device.ctl("verify")[0], EXIT_FINE)

    def test_a_throttled_answer_is_waited_for_and_the_next_page_comes_after_it(self):
        for second in range(PAGE + 1):
            self.create(f"usage_{second}", second)
        self.device.drain(60)
        before = len(self.sandbox.requests())
        self.sandbox.set_faults({"script": ["error_429", "ok", "error_429"], "retry_after": "1"})
        code, text = self.device.ctl("reconcile")
        self.assertEqual(code, EXIT_FINE, text)
        self.assertEqual(text.count("the upstream is asked again in 1 s"), 2)
        self.assertIn(f"{PAGE + 1} usages", words(text))
        self.assertEqual([status for _, status in self.requests_since(before)], [429, 200, 429, 200])

    def test_lost_answers_and_other_peoples_are_asked_for_again(self):
        for second in range(PAGE + 1):
            self.create(f"usage_{second}", second)
        self.device.drain(60)
        for script in (["ok", "drop_before"], ["drop_before"], ["ok", "drop_before", "drop_before", "garbage_json"]):
            self.sandbox.set_faults({"script": script})
            code, text = self.device.ctl("reconcile")
            self.assertEqual(code, EXIT_FINE, text)
            self.assertIn(f" {PAGE + 1} usages, ", words(text))  # none twice
        self.assertIn("the upstream is asked again in 2 s", text)

    def test_sigterm_does_not_wait_for_an_upstream_that_hangs(self):
        self.create("usage_1", 0)
        self.device.drain(30)
        self.sandbox.set_faults({"script": ["stall_before"]})
        before, said = len(self.sandbox.requests()), []
        asking = threading.Thread(target=lambda: said.append(self.device.ctl("reconcile")))
        asking.start()
        try:
            wait_until("the upstream is asked", lambda: len(self.sandbox.requests()) > before, 20)
        finally:
            self.terminate()
            asking.join()
        self.assertEqual(said[0][0], EXIT_UNREACHABLE, said)  # it asks on, and nobody is there any more
        self.assertIn("NOT COMPARED TO ITS END", said[0][1])
