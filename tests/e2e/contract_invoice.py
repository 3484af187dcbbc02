"""A device that is its own ledger bills terms, and prints what it billed: to meterctl, and to callers of its API."""

import contextlib
import http.client
import json
import subprocess
import time
import urllib.parse

from contract_case import CREDENTIALS, FORM, ContractTest, words
from harness import wait_until

EXIT_FINE, EXIT_FAILED = 0, 1
TERM = 1_000  # seconds; the usages of a test are dated in it
LINK_SECONDS = 600


def text_of(pdf):
    command = ["pdftotext", "-layout", "-", "-"]
    return subprocess.run(command, input=pdf, capture_output=True, timeout=10, check=True).stdout.decode()


class Ledger(ContractTest):
    def setUp(self):
        super().setUp()
        self.start(over_tcp=True)
        self.create("usage_1", 0, quantity="5")
        self.create("usage_2", 10, quantity="7.50")
        self.create("usage_3", 20, item_price="api-usd")

    def order(self, verb, invoice="inv_1", exit_code=EXIT_FINE):
        """What meterctl says of the invoice: (as JSON, as text)."""
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began + TERM))
        term = ("--subscription", "sub_1", "--until", until) if verb in ("open", "close") else ()
        arguments = ("invoice", verb, "--invoice", invoice, *term)
        code, text = self.device.ctl(*arguments)
        self.assertEqual(code, exit_code, text)
        if exit_code != EXIT_FINE or verb == "delete":
            return None, words(text)
        return json.loads(self.device.ctl("--json", *arguments)[1])["invoice"], words(text)

    def assert_lines(self, invoice, *wanted):
        lines = [(line["item_price_id"], line["quantity"], line["usages"]) for line in invoice["lines"]]
        self.assertEqual(lines, list(wanted))


class Invoicing(Ledger):
    def test_an_open_one_shows_what_it_would_have_until_it_is_closed(self):
        invoice, text = self.order("open")
        self.assertEqual(invoice["state"], "open")
        self.assert_lines(invoice, ("sms-usd", "12.5", 2), ("api-usd", "1", 1))
        self.assertIn("usages may still be added until it is closed", text)
        self.assertEqual({usage["billing"] for usage in self.usages().values()}, {"open"})
        self.create("usage_4", 30, quantity="0.5")
        self.assert_lines(self.order("open")[0], ("sms-usd", "13", 3), ("api-usd", "1", 1))
        invoice, _ = self.order("close")
        self.assertEqual(invoice["state"], "closed")
        self.assert_lines(invoice, ("sms-usd", "13", 3), ("api-usd", "1", 1))

    def test_closing_seals_what_was_counted_in_the_term_and_waits_for_its_end(self):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began + 100))
        report = ("report", "sms.sent", "--subscription", "sub_1", "--quantity", "100", "--time", moment)
        code, text = self.device.ctl(*report)  # received, and not yet committed
        self.assertEqual(code, EXIT_FINE, text)
        self.device.ctl("report", "api.call", "--subscription", "sub_2", "--quantity", "1", "--ack", "committed")
        now = int(time.time()) + 1
        wait_until("the second is over", lambda: time.time() >= now, 5)
        arguments = ("--subscription", "sub_1", "--until", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
        code, text = self.device.ctl("--json", "invoice", "close", "--invoice", "inv_1", *arguments)
        self.assertEqual(code, EXIT_FINE, text)
        self.assert_lines(json.loads(text)["invoice"], ("sms-usd", "112.5", 3), ("api-usd", "1", 1))
        self.assertEqual(len(self.device.get("/operator/buckets")["buckets"]), 1, "another subscription's stays open")
        later = ("--subscription", "sub_1", "--until", "2099-12-31", "--invoice", "inv_2")
        code, text = self.device.ctl("invoice", "close", *later)
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("the term is not over", words(text))

    def test_what_comes_late_is_never_invoiced_unless_the_term_is_closed_again(self):
        self.order("close")
        self.create("late", 40)
        self.assertEqual(self.usages()["late"]["billing"], "never: late")
        self.assertEqual(self.usages()["usage_1"]["invoice_id"], "inv_1")
        self.assertEqual(self.delete("usage_1"), (409, "invalid_state_for_request"))
        self.assertIn("closed by invoice inv_1", self.order("open", "inv_2", EXIT_FAILED)[1])
        self.order("void")
        self.assertEqual({usage["billing"] for usage in self.usages().values()}, {"open"})
        self.assert_lines(self.order("close")[0], ("sms-usd", "13.5", 3), ("api-usd", "1", 1))

    def test_an_open_one_counts_what_would_be_late(self):
        """The lines of an item price's own invoice are not shown as if they were billed once more."""
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began + 5))
        first = ("--subscription", "sub_1", "--item-price", "sms-usd", "--until", until)
        self.assertEqual(self.device.ctl("invoice", "close", "--invoice", "inv_sms", *first)[0], EXIT_FINE)
        self.create("late", 2)
        invoice, text = self.order("open")
        self.assert_lines(invoice, ("sms-usd", "7.5", 1), ("api-usd", "1", 1))
        self.assertEqual(invoice["late"], 1)
        self.assertIn("1 usage came too late for its term", text)

    def test_a_deleted_one_is_gone_with_all_that_was_on_it_free(self):
        self.order("close")
        self.assertIn("invoice inv_1: deleted", self.order("delete")[1])
        self.assertFalse(any("invoice_id" in usage for usage in self.usages().values()))
        self.assertIn("there is no invoice inv_1", self.order("delete", exit_code=EXIT_FAILED)[1])


class InvoiceDocument(Ledger):
    def setUp(self):
        super().setUp()
        self.order("close")

    def pdf(self, invoice="inv_1", key=None, **fields):
        """(status, the answer, whether it was given before)."""
        headers = FORM | CREDENTIALS | ({"chargebee-idempotency-key": key} if key else {})
        body = urllib.parse.urlencode({"invoice[id]": invoice, **fields})
        connection = http.client.HTTPConnection("127.0.0.1", self.device.tcp_port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/api/v2/usages/pdf", body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), "chargebee-idempotency-replayed" in answer.headers

    def link(self, **fields):
        status, answer, _ = self.pdf(**fields)
        self.assertEqual(status, 200, answer)
        download = answer["download"]
        self.assertAlmostEqual(download["valid_till"], time.time() + LINK_SECONDS, delta=60)
        return download["download_url"]

    def follow(self, url):
        """(status, its disposition, the body), with no credentials."""
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", f"{parts.path}?{parts.query}")
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Disposition", "").split(";")[0], answer.read()

    def test_a_link_gives_the_document_without_credentials(self):
        for wanted, given in (("INLINE", "inline"), ("attachment", "attachment")):
            status, disposition, document = self.follow(self.link(disposition_type=wanted))
            self.assertEqual((status, disposition), (200, given))
            text = words(text_of(document))
            for part in ("Usages of invoice inv_1", "sub_1", "sms-usd", "7.50", "12.5", "api-usd", "page 1 of 1"):
                self.assertIn(part, text)

    def test_a_link_that_was_changed_is_refused(self):
        url = self.link()
        for old, new in (("inv_1", "inv_2"), ("disposition=attachment", "disposition=inline"),
                         ("valid_till=1", "valid_till=2"), ("signature=", "signature=0")):
            self.assertIn(old, url)
            self.assertEqual(self.follow(url.replace(old, new))[0], 403, new)

    def test_a_key_gives_the_first_answer_even_when_its_invoice_has_gone(self):
        first = self.pdf(key="key_1")
        self.assertEqual((first[0], first[2]), (200, False))
        self.assertEqual(self.pdf(key="key_1"), (200, first[1], True))
        self.order("delete")
        self.assertEqual(self.pdf(key="key_1"), (200, first[1], True))
        status, answer, _ = self.pdf(invoice="inv_9", key="key_1")
        self.assertEqual((status, answer["api_error_code"]), (422, "unable_to_process_request"))
        status, answer, _ = self.pdf()
        self.assertEqual((status, answer["api_error_code"]), (404, "resource_not_found"))
        self.assertEqual(self.follow(first[1]["download"]["download_url"])[0], 404)

    def test_meterctl_writes_the_same_document_and_one_of_an_open_invoice(self):
        file = self.directory / "statement.pdf"
        self.assertEqual(self.device.ctl("statement", str(file), "--invoice", "inv_1")[0], EXIT_FINE)
        document = self.follow(self.link())[2]
        self.assertEqual(text_of(file.read_bytes()), text_of(document))
        self.order("void")
        self.order("delete")
        self.order("open", "inv_2")
        self.assertEqual(self.device.ctl("statement", str(file), "--invoice", "inv_2")[0], EXIT_FINE)
        self.assertIn("open: usages may still be added", words(text_of(file.read_bytes())))
        code, text = self.device.ctl("statement", str(file), "--from", "2026-11-02", "--to", "2026-11-01")
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("The last day, to, is before the first one", words(text))
