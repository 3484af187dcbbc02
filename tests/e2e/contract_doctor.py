"""meterctl doctor: what is wrong is told apart and comes with what to do; asking bills nothing."""

import json
import subprocess

from contract_case import ContractTest, words
from contract_twilio import FIRST, AtTwilio
from harness import free_port

EXIT_FINE, EXIT_ATTENTION = 0, 4


def kind_of(finding):
    """What its text begins with, or "fine"."""
    return finding["what"].split(":")[0] if finding["result"] != "fine" else "fine"


class Doctor(ContractTest):
    def examine(self):
        """(exit code, {check: (result, what, do)} of the last finding of each, the plan)."""
        code, text = self.device.ctl("--json", "doctor")
        answer = json.loads(text)
        return code, {one["check"]: one for one in answer["findings"]}, answer["plan"]

    def found(self, fault=None):
        """The upstream's finding when the next request meets the fault."""
        self.sandbox.set_faults({"script": [fault]} if fault else None)
        code, findings, _ = self.examine()
        finding = findings[self.upstream]
        self.assertEqual(code, EXIT_FINE if finding["result"] == "fine" else EXIT_ATTENTION)
        self.assertEqual(bool(finding["do"]), finding["result"] != "fine")
        return kind_of(finding)


class DoctorOfChargebee(Doctor):
    upstream = "billing"

    def setUp(self):
        super().setUp()
        self.sandbox = self.make_sandbox()

    def test_tells_apart_what_keeps_the_upstream_from_taking_usages(self):
        self.start(upstream_port=self.sandbox.port)
        cases = {
            None: "fine",
            "error_401": "bad_key",
            "error_403": "not_allowed",
            "usages_api_off": "not_enabled",
            "error_404": "wrong_address",
            "captive_portal": "foreign",
            "captive_redirect": "foreign",
            "error_502_html": "unavailable",
            "error_429": "unavailable",
            "reset_before": "unavailable",
        }
        for fault, finding in cases.items():
            with self.subTest(fault=fault):
                self.assertEqual(self.found(fault), finding)
        self.assertEqual(self.sandbox.created_ids(), [])
        self.assertEqual({request["method"] for request in self.sandbox.requests()}, {"GET"})

    def test_says_that_nobody_is_reached(self):
        self.start(upstream_port=free_port())
        code, findings, _ = self.examine()
        self.assertEqual(code, EXIT_ATTENTION)
        self.assertIn("no_route: connect", findings["billing"]["what"])

    def test_tells_a_certificate_of_another_time_from_one_that_is_not_trusted(self):
        for until, finding in (("20010101000000Z", "tls_time"), ("20990101000000Z", "fine")):
            key, certificate = self.make_certificate(until)
            for trusted in (True, False):
                wanted = finding if trusted else "no_tls"
                with self.subTest(until=until, trusted=trusted):
                    self.assertEqual(self.over_tls(key, certificate, trusted), wanted)

    def make_certificate(self, until):
        """Of localhost, signed by itself, from the year 2000 on."""
        directory = self.directory / until
        directory.mkdir()
        key, request, certificate = (directory / name for name in ("key.pem", "request.pem", "certificate.pem"))
        (directory / "index.txt").touch()
        (directory / "ca.cnf").write_text(f"""[ca]
default_ca = own
[own]
database = {directory}/index.txt
new_certs_dir = {directory}
default_md = sha256
rand_serial = yes
policy = any
x509_extensions = localhost
[any]
commonName = supplied
[localhost]
subjectAltName = DNS:localhost
""")
        new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
        sign = ["ca", "-batch", "-notext", "-selfsign", "-config", directory / "ca.cnf", "-keyfile", key]
        sign += ["-startdate", "20000101000000Z", "-enddate", until, "-in", request, "-out", certificate]
        for arguments in ([*new, "-keyout", key, "-out", request], sign):
            subprocess.run(["openssl", *arguments], check=True, stderr=subprocess.DEVNULL)
        return key, certificate

    def over_tls(self, key, certificate, trusted):
        directory = certificate.parent / ("trusted" if trusted else "not")
        directory.mkdir()
        sandbox = self.make_sandbox(directory, arguments=("--tls-cert", certificate, "--tls-key", key))
        self.device.write_config((("sms.sent", "sms-usd"),), upstream_port=sandbox.port)
        text = self.device.config_file.read_text().replace("http://127.0.0.1", "https://localhost")
        self.device.config_file.write_text(text)
        self.device.start({"SSL_CERT_FILE": str(certificate if trusted else "/dev/null"), "SSL_CERT_DIR": "/nowhere"})
        _, findings, _ = self.examine()
        self.device.stop()
        return kind_of(findings["billing"])

    def test_shows_what_the_configuration_comes_to_and_how_much_of_a_lifetime_is_used(self):
        self.start(upstream_port=self.sandbox.port, seal="15m")
        for usage in range(3):
            self.create(f"u{usage}", usage)
        code, text = self.device.ctl("doctor")
        self.assertEqual(code, EXIT_FINE, text)
        _, _, plan = self.examine()
        (billing,) = plan["upstreams"]
        self.assertEqual((billing["item_prices"], billing["usages_per_day"], billing["requests_per_day"]), (2, 192, 192))
        self.assertEqual(billing["lifetime_limit"], 5000)
        self.assertEqual(billing["most_used"], [{"subscription_id": "sub_1", "usages": 3}])
        self.assertEqual([one["after_seconds"] for one in billing["deadlines"]], [1800, 2500 * 900])
        self.assertIn("most used: sub_1, 3 of 5000 usages", words(text))
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)


class DoctorOfTwilio(AtTwilio, Doctor):
    upstream = "marketplace"

    def test_tells_apart_what_keeps_the_upstream_from_taking_usages(self):
        self.begin()
        self.assertEqual(self.found(), "fine", "no installation is known yet")
        self.count(1)
        self.flush()
        self.device.drain(20)
        charged, delivered = self.charged(), len(self.requests())
        cases = {
            None: "fine",
            "error_401": "bad_key",
            "manual_reporting_off": "not_enabled",
            "error_404": "wrong_address",
            "captive_portal": "foreign",
            "drop_after": "unavailable",
            "error_500_after": "unavailable",
            "partial": "fine",
        }
        for fault, finding in cases.items():
            with self.subTest(fault=fault):
                self.assertEqual(self.found(fault), finding)
        self.assertEqual(self.charged(), charged, "asking charges nothing")
        self.assertEqual(self.outbox(), [], "and nothing is in doubt")
        asked = [request["path"].split("/")[-2] for request in self.requests()[delivered:]]
        self.assertEqual(asked, [FIRST] * len(cases), "it asks of the installation that it knows")


class DoctorOfTwilioPreview(DoctorOfTwilio):
    kind = "twilio-preview"
