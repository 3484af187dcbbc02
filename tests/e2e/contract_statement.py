"""meterctl statement --upstream: the document that an upstream prints of an invoice."""

from contract_case import CREDENTIALS, words
from contract_reconcile import EXIT_FINE, AtUpstream

EXIT_FAILED, EXIT_USAGE = 1, 2


class UpstreamStatement(AtUpstream):
    def setUp(self):
        super().setUp()
        self.file = self.directory / "inv_1.pdf"
        self.create("usage_1", 0)
        self.device.drain(30)
        self.sandbox.steer("invoice", usage="usage_1", invoice="inv_1")

    def statement(self, exit_code=EXIT_FINE, invoice="inv_1", upstream="billing"):
        arguments = ("--invoice", invoice, *(("--upstream", upstream) if upstream else ()))
        code, text = self.device.ctl("statement", str(self.file), *arguments)
        self.assertEqual(code, exit_code, text)
        return words(text)

    def assert_printed_by_the_upstream(self):
        document = self.file.read_bytes()
        self.assertTrue(document.startswith(b"%PDF-") and document.endswith(b"%%EOF\n"))
        self.assertIn(b"Usages of invoice inv_1", document)
        self.assertIn(b"usage_1", document)

    def downloads(self):
        """Of each download the path and what was answered: 400 would mean that it came with credentials."""
        requests = self.requests_since(0)
        return [(path, status) for path, status in requests if path.startswith("/_downloads/")]

    def test_it_arrives_through_redirects_too_and_no_link_is_followed_with_the_key(self):
        for redirects in range(4):
            self.sandbox.steer("redirect", times=redirects)
            before = len(self.downloads())
            self.statement()
            self.assert_printed_by_the_upstream()
            self.assertEqual([status for _, status in self.downloads()[before:]], [302] * redirects + [200])
            self.file.unlink()
        link, _ = self.downloads()[-1]
        self.assertEqual(self.ask_sandbox("GET", link, headers=CREDENTIALS), 400)
        self.assertEqual(self.ask_sandbox("GET", link), 200)

    def test_what_is_refused_says_why_and_keeps_the_file_from_before(self):
        self.file.write_text("from before")
        self.assertIn("there are no usages of the invoice inv_9", self.statement(EXIT_FAILED, invoice="inv_9"))
        self.assertIn("there is no [[upstream]] nobody in meterd.toml", self.statement(EXIT_FAILED, upstream="nobody"))
        self.sandbox.steer("redirect", times=100)
        self.assertIn("link leads from one place to the next", self.statement(EXIT_FAILED))
        self.sandbox.steer("redirect", times=0)
        for script, why in ((["error_401"], "401 api_authentication_failed"), (["drop_before"], "receive"),
                            (["ok", "captive_portal"], "200, but no PDF"), (["ok", "error_404"], "127.0.0.1: 404"),
                            (["ok", "drop_before"], "could not be fetched"), (["ok", "oversized"], "over the limit")):
            self.sandbox.set_faults({"script": script})
            self.assertIn(why, self.statement(EXIT_FAILED), script)
        self.assertEqual(self.file.read_text(), "from before")
        self.assertEqual([path.name for path in self.directory.glob("*.part")], [])
        self.assertEqual(self.device.ctl("statement", str(self.file), "--upstream", "billing")[0], EXIT_USAGE)
        self.statement()
        self.assert_printed_by_the_upstream()

    def test_a_ledger_prints_nothing_upstream(self):
        self.terminate()
        self.device = self.make_device("ledger")
        self.start()
        refusal = self.statement(EXIT_FAILED, upstream="ledger")
        self.assertIn("upstream ledger prints no statements; leave --upstream out", refusal)
        self.assertFalse(self.file.exists())

    def test_the_device_prints_it_too_once_it_knows_the_invoice(self):
        self.assertIn("There is no invoice inv_1", self.statement(EXIT_FAILED, upstream=None))
        self.compare_fully(1)
        self.statement(upstream=None)
        self.assertNotIn(b"Usages of invoice inv_1", self.file.read_bytes())
        self.assertTrue(self.file.read_bytes().startswith(b"%PDF-"))
