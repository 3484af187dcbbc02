"""The usages of an invoice as PDF: the call that makes a link, the link, the document.

Part of sandbox_test.py; alone: `python3 -m unittest pdf_test`.
"""

import pathlib
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse

from harness import KEY, Raw, Sandbox, SandboxTest, basic, download, make_certificate, usage


def text_of(pdf):
    """The lines of a document of one page, as a reader sees them that complains of what it has to repair."""
    start = int(pdf.rsplit(b"\n", 3)[1])
    assert pdf[start:].startswith(b"xref\n"), start  # this one it repairs in silence
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, timeout=10, check=True)
    assert not done.stderr, done.stderr
    pages = done.stdout.decode().split("\f")
    assert len(pages) == 2 and not pages[1], pages
    return [" ".join(line.split()) for line in pages[0].splitlines() if line.strip()]


class PdfTest(SandboxTest):
    def setUp(self):
        super().setUp()
        for number in range(3):
            self.created(f"sub_{number}", **usage(number, quantity=f"{number}.5"))
        for number in range(2):
            self.sandbox.invoice(f"u{number}", "inv_1", f"li_{number}")

    def link(self, **form):
        """What the call answers, for the invoice of u0 and u1."""
        answer = self.api.pdf("inv_1", **form)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["download"]

    def assertRefusedByTheStore(self, answer, status, code):
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (status, "application/xml"))
        self.assertIn(f"<Code>{code}</Code>".encode(), answer.body)


class Pdf(PdfTest):
    def test_it_answers_a_link_to_the_sandbox_for_ten_minutes(self):
        before = int(time.time())
        link = self.link()
        self.assertTrue(before + 600 <= link.pop("valid_till") <= time.time() + 600)
        url = link.pop("download_url")
        self.assertRegex(url, rf"^http://127\.0\.0\.1:{self.sandbox.port}/_downloads/[A-Za-z0-9_-]{{32}}\.pdf$")
        self.assertEqual(link, {"mime_type": "application/pdf", "object": "download"})
        self.assertNotEqual(self.link()["download_url"], url)

    def test_the_link_is_at_the_name_that_the_request_was_sent_to(self):
        headers = {"Host": "billing.example:81", "Content-Type": "application/x-www-form-urlencoded"}
        answer = self.api.call("POST", "/api/v2/usages/pdf", "invoice[id]=inv_1", headers=headers)
        self.assertEqual(urllib.parse.urlsplit(answer.json["download"]["download_url"]).netloc, "billing.example:81")
        raw = Raw(self.sandbox)
        self.addCleanup(raw.close)
        head = f"POST /api/v2/usages/pdf HTTP/1.0\r\nAuthorization: {basic(KEY)}\r\nContent-Length: 17\r\n"
        raw.send(f"{head}Content-Type: {headers['Content-Type']}\r\n\r\ninvoice[id]=inv_1".encode())
        self.assertIn(b"needs the request's Host header", raw.read_all())

    def test_each_parameter_is_checked(self):
        for form, param in (
            ({"invoice": ""}, "invoice[id]"),
            ({"invoice": "x" * 51}, "invoice[id]"),
            ({"disposition_type": ""}, "disposition_type"),
            ({"disposition_type": "INLINE"}, "disposition_type"),
            ({"usage": "u0"}, "usage"),
        ):
            self.assertEqual(self.api.pdf(**{"invoice": "inv_1"} | form).error, (400, "param_wrong_value", param))
        answer = self.api.call("POST", "/api/v2/usages/pdf", "disposition_type=inline")
        self.assertEqual(answer.error, (400, "param_wrong_value", "invoice[id]"))
        self.assertEqual(self.api.call("GET", "/api/v2/usages/pdf").error, (405, "http_method_not_supported", None))

    def test_an_invoice_without_usages_is_not_found(self):
        self.assertEqual(self.api.pdf("x" * 50).error, (404, "resource_not_found", None))
        self.sandbox.invoice("u0", "")
        self.link()
        self.sandbox.forget("u1")
        self.assertEqual(self.api.pdf("inv_1").error, (404, "resource_not_found", None))

    def test_it_needs_the_key(self):
        stranger = self.sandbox.api(authorization=basic("wrong"))
        self.addCleanup(stranger.close)
        self.assertEqual(stranger.pdf("inv_1").error, (401, "api_authentication_failed", None))

    def test_a_key_answers_the_same_link_again(self):
        first, again = (self.api.pdf("inv_1", key="k") for _ in range(2))
        self.assertEqual((first.replayed, again.replayed), (False, True))
        self.assertEqual(again.body, first.body)
        self.assertEqual(self.api.pdf("inv_2", key="k").error, (422, "unable_to_process_request", None))
        self.assertEqual(self.api.create(key="k", **usage(9)).error, (422, "unable_to_process_request", None))


class Downloads(PdfTest):
    def test_the_document_names_the_invoice_and_its_usages(self):
        lines = text_of(download(self.link()["download_url"]).body)
        self.assertEqual(lines, ["Usages of invoice inv_1", "u0 0.5", "u1 1.5"])

    def test_the_disposition_is_the_one_asked_for(self):
        for form, disposition in (
            ({}, "attachment"),
            ({"disposition_type": "attachment"}, "attachment"),
            ({"disposition_type": "inline"}, "inline"),
        ):
            url = self.link(**form)["download_url"]
            answer = download(url)
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/pdf"))
            name = url.rpartition("/")[2]
            self.assertEqual(answer.headers["Content-Disposition"], f"{disposition};filename={name}")

    def test_what_the_format_reserves_and_long_values_are_shown_as_they_are(self):
        odd, longest = r"a(b))\n \\ ü", "x" * 100
        self.created(**usage(7, id=odd))
        self.created(**usage(8, id=longest, quantity="1" * 40))
        for usage_id in (odd, longest):
            self.sandbox.invoice(usage_id, r"inv(\)")
        lines = text_of(download(self.api.pdf(r"inv(\)").json["download"]["download_url"]).body)
        self.assertEqual(lines, [r"Usages of invoice inv(\)", f"{odd} 1", f"{longest} {'1' * 40}"])

    def test_many_usages_are_still_one_page(self):
        for number in range(10, 210):
            self.created(**usage(number))
            self.sandbox.invoice(f"u{number}", "inv_2")
        lines = text_of(download(self.api.pdf("inv_2").json["download"]["download_url"]).body)
        self.assertEqual(lines[1:], [f"u{number} 1" for number in range(10, 210)])

    def test_a_link_shows_the_usages_as_they_were(self):
        url = self.link()["download_url"]
        self.sandbox.alter("u0", "9")
        self.sandbox.forget("u1")
        self.assertEqual(text_of(download(url).body)[1:], ["u0 0.5", "u1 1.5"])

    def test_a_link_ends(self):
        link = self.link()
        self.sandbox.advance(link["valid_till"] - time.time() - 5)
        self.assertEqual(download(link["download_url"]).status, 200)
        self.sandbox.advance(5)
        self.assertRefusedByTheStore(download(link["download_url"]), 403, "AccessDenied")

    def test_credentials_other_methods_and_guesses_are_refused(self):
        url = self.link()["download_url"]
        leaked = download(url, {"Authorization": basic(KEY)})
        self.assertRefusedByTheStore(leaked, 400, "InvalidArgument")
        self.assertEqual(self.sandbox.requests()[-1]["error"], "InvalidArgument")
        self.assertRefusedByTheStore(download(url, method="POST"), 405, "MethodNotAllowed")
        for guess in (url.removesuffix(".pdf"), url.replace("_downloads/", "_downloads/x")):
            self.assertRefusedByTheStore(download(guess), 404, "NoSuchKey")
        self.assertEqual(download(url).status, 200)

    def test_redirects_lead_to_other_links_before_the_document(self):
        url = self.link()["download_url"]
        self.assertEqual(self.sandbox.redirect(2), 2)
        urls = [url]
        for _ in range(2):
            answer = download(urls[-1])
            self.assertEqual((answer.status, answer.body), (302, b""))
            urls.append(answer.headers["Location"])
        self.assertEqual(len(set(urls)), 3)
        self.assertEqual(len({each.rpartition("/")[0] for each in urls}), 1)  # absolute, on the same host
        for each in (urls[-1], url):
            self.assertEqual(text_of(download(each).body)[0], "Usages of invoice inv_1")
        self.sandbox.redirect(1)
        self.sandbox.redirect(0)
        self.assertEqual(download(url).status, 200)
        for times in ("-1", "101", "x", ""):
            with self.assertRaisesRegex(ValueError, "times : must be"):
                self.sandbox.redirect(times)

    def test_faults_hit_downloads_too(self):
        url = self.link()["download_url"]
        self.sandbox.faults(script=["captive_portal", "error_503"])
        self.assertEqual(download(url).headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(download(url).status, 503)
        self.assertEqual([entry["fault"] for entry in self.sandbox.requests()[-2:]], ["captive_portal", "error_503"])


class DownloadsOfAProcess(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def start(self, *arguments, tls=None):
        sandbox = Sandbox(*arguments)
        self.addCleanup(sandbox.stop)
        api = sandbox.api(tls=tls)
        self.addCleanup(api.close)
        return sandbox, api

    def test_links_and_their_keys_survive_a_kill(self):
        file = ("--ledger", self.directory / "ledger")
        first, api = self.start(*file)
        api.create(**usage())
        first.invoice("u0", "inv_1")
        answer = api.pdf("inv_1", key="k")
        links = [answer.json["download"]["download_url"]]
        first.redirect(1)
        links.append(download(links[0]).headers["Location"])
        first.stop(signal.SIGKILL)
        second, api = self.start(*file)
        again = api.pdf("inv_1", key="k")
        self.assertEqual((again.replayed, again.body), (True, answer.body))
        for link in links:
            path = urllib.parse.urlsplit(link).path
            document = download(f"http://127.0.0.1:{second.port}{path}").body
            self.assertEqual(text_of(document), ["Usages of invoice inv_1", "u0 1"])

    def test_over_tls_the_links_are_https(self):
        made = make_certificate(self.directory)
        if not made:
            self.skipTest("there is no openssl command to make a certificate with")
        certificate, key, context = made
        sandbox, api = self.start("--tls-cert", certificate, "--tls-key", key, tls=context)
        api.create(**usage())
        api.call("POST", "/_sandbox/invoice?usage=u0&invoice=inv_1")
        api.call("POST", "/_sandbox/redirect?times=1")
        link = api.pdf("inv_1").json["download"]["download_url"]
        location = download(link, tls=context).headers["Location"]
        for url in (link, location):
            self.assertTrue(url.startswith(f"https://localhost:{sandbox.port}/_downloads/"), url)
        self.assertEqual(text_of(download(location, tls=context).body), ["Usages of invoice inv_1", "u0 1"])
