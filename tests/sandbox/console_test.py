"""What changes at the vendor behind a client's back: invoices, and what a person does at the console.

Part of sandbox_test.py; alone: `python3 -m unittest console_test`.
"""

import pathlib
import signal
import tempfile

from harness import DAY, Sandbox, SandboxTest, usage


class Console(SandboxTest):
    def test_an_invoiced_usage_says_so_and_cannot_be_deleted(self):
        created = self.created(**usage())
        self.sandbox.advance(5)
        invoiced = self.sandbox.invoice("u0", "inv 1", "li_1")
        self.assertEqual((invoiced["invoice_id"], invoiced["line_item_id"]), ("inv 1", "li_1"))
        self.assertGreaterEqual(invoiced["resource_version"], created["resource_version"] + 4000)
        self.assertGreaterEqual(invoiced["updated_at"], created["updated_at"] + 4)
        self.assertEqual(invoiced["created_at"], created["created_at"])
        self.assertEqual(self.api.retrieve("u0").json["usage"], invoiced)
        self.assertEqual(self.api.list(**{"subscription_id[is]": "sub_1"}).json["list"], [{"usage": invoiced}])
        self.assertEqual(self.api.delete("u0").error, (409, "invalid_state_for_request", None))
        self.assertEqual(self.api.delete("u0", "sub_2").error, (404, "resource_not_found", None))
        self.assertEqual(len(self.sandbox.ledger()["usages"]), 1)

    def test_a_voided_invoice_lets_go_of_its_usages(self):
        created = self.created(**usage())
        versions = [created["resource_version"]]
        for invoice, line_item in (("inv_1", "li_1"), ("inv_2", None), ("", None)):
            record = self.sandbox.invoice("u0", invoice, line_item)
            self.assertEqual((record.get("invoice_id", ""), record.get("line_item_id")), (invoice, line_item))
            versions.append(record["resource_version"])
        self.assertEqual(versions, sorted(set(versions)))  # each change is seen, however soon after the last
        self.assertEqual(record.keys(), created.keys())
        self.assertEqual(self.api.delete("u0").json["usage"], record)

    def test_an_altered_quantity_is_billed_and_a_replay_still_tells_the_first(self):
        created = self.api.create(key="k", **usage(quantity="1"))
        self.created(**usage(1, quantity="0.1"))
        altered = self.sandbox.alter("u0", "2.5")
        self.assertEqual(altered["quantity"], "2.5")
        self.assertEqual(self.api.retrieve("u0").json["usage"], altered)
        ledger = self.sandbox.ledger()
        self.assertEqual([entry["id"] for entry in ledger["usages"]], ["u0", "u1"])
        self.assertEqual([(row["quantity"], row["usages"]) for row in ledger["totals"]], [("2.6", 2)])
        self.assertEqual(self.api.create(key="k", **usage(quantity="1")).body, created.body)

    def test_a_forgotten_usage_is_gone_and_no_delete_was_called(self):
        created = self.created(**usage())
        self.assertEqual(self.sandbox.forget("u0"), created)
        self.assertEqual(self.api.retrieve("u0").status, 404)
        ledger = self.sandbox.ledger()
        self.assertEqual((ledger["usages"], ledger["totals"], ledger["deleted"]), ([], [], 0))
        self.created(**usage())

    def test_it_needs_no_key_and_meets_no_fault(self):
        self.created(**usage())
        self.sandbox.faults(script=["error_500", "error_500"])
        self.sandbox.alter("u0", "3")
        self.assertEqual(len(self.sandbox.control("GET", "faults")["script_left"]), 2)
        self.assertEqual(len(self.sandbox.requests()), 1)

    def test_nonsense_is_refused_by_name(self):
        self.created(**usage())
        for path, message in (
            ("invoice?usage=u%201&invoice=i", "there is no usage u 1"),
            ("alter?usage=u1&quantity=1", "there is no usage u1"),
            ("forget?usage=u1", "there is no usage u1"),
            ("forget", "usage : cannot be blank"),
            ("invoice?usage=u0", "invoice : cannot be blank"),
            ("invoice?usage=u0&invoice=i&line_item=", "line_item : cannot be blank"),
            ("alter?usage=u0&quantity=0", "quantity : must be more than 0"),
            ("alter?usage=u0&quantity=1&note=x", "note : is not a parameter"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                self.sandbox.control("POST", path)
        self.assertEqual(self.sandbox.ledger()["usages"][0]["quantity"], "1")

    def test_it_all_survives_in_the_ledger_file(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = pathlib.Path(directory.name) / "ledger"
        first = self.start(path)
        for number in range(5):
            self.assertEqual(self.api_of(first).create(**usage(number)).status, 200)
        first.invoice("u0", "inv_1", "li_1")
        first.invoice("u1", "inv_1")
        first.invoice("u1", "")
        first.alter("u2", "7")
        first.forget("u3")
        self.api_of(first).delete("u4")
        before = first.ledger()
        first.stop(signal.SIGKILL)
        after = self.start(path).ledger()
        for name in ("usages", "totals", "deleted"):
            self.assertEqual(after[name], before[name])
        self.assertEqual((len(after["usages"]), after["totals"][0]["quantity"], after["deleted"]), (3, "9", 1))

    def start(self, path):
        sandbox = Sandbox("--ledger", path)
        self.addCleanup(sandbox.stop)
        return sandbox

    def api_of(self, sandbox):
        api = sandbox.api()
        self.addCleanup(api.close)
        return api


class Reconciling(SandboxTest):
    def test_every_usage_of_a_subscription_by_date_in_pages_of_a_hundred(self):
        for number in range(230):  # two item prices share each second, so a page ends between equals
            item_price = ("sms-usd", "data-usd")[number % 2]
            second = DAY + (229 - number) // 2
            self.created(**usage(number, item_price_id=item_price, usage_date=second))
        self.created("sub_2", **usage(999))
        query = {"subscription_id[is]": "sub_1", "sort_by[asc]": "usage_date", "limit": 100}
        pages = [self.api.list(**query).json]
        while "next_offset" in pages[-1]:
            if len(pages) == 1:  # what happens between two pages neither repeats a usage nor leaves one out
                self.sandbox.forget(pages[0]["list"][-1]["usage"]["id"])
                self.sandbox.alter(pages[0]["list"][0]["usage"]["id"], "2")
            pages.append(self.api.list(**query, offset=pages[-1]["next_offset"]).json)
        rows = [row["usage"] for page in pages for row in page["list"]]
        self.assertEqual([len(page["list"]) for page in pages], [100, 100, 30])
        self.assertEqual(len({row["id"] for row in rows}), 230)
        self.assertEqual([row["usage_date"] for row in rows], sorted(row["usage_date"] for row in rows))
