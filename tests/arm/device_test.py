#!/usr/bin/python3
"""What only another architecture can show: its programs, run by an emulator, beside this machine's own.

A journal goes from this machine to that one and back; each refuses the other's file and says what to do. A device with
words of 32 bits refuses a journal that it could not map. And beyond 2038 it counts, dates and delivers over TLS.
"""

import argparse
import calendar
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from contract_case import METERS, ContractTest, words  # noqa: E402
from harness import Device, Sandbox, wait_until  # noqa: E402

NOON = calendar.timegm((2040, 1, 1, 12, 0, 0))
EXIT_CONFIGURATION, EXIT_JOURNAL = 2, 3


class Arm(ContractTest):
    def setUp(self):
        super().setUp()
        self.sandbox = self.make_sandbox()

    def make(self, name, meterd, meterctl):
        device = Device(meterd, meterctl, self.directory / name)
        self.addCleanup(device.stop)
        return device

    def emulated(self, name="emulated"):
        return self.make(name, self.options.meterd, self.options.meterctl)

    def native(self, name="native"):
        return self.make(name, self.options.native / "meterd", self.options.native / "meterctl")

    def succeeds(self, device, *arguments):
        code, text = device.ctl(*arguments)
        self.assertEqual(code, 0, text)
        return text

    def run_device(self, device):
        self.device = device
        self.start(upstream_port=self.sandbox.port, seal="1d")


class Portable(Arm):
    def go(self, one, other):
        """Counts on `one`, moves to `other`, counts on there; everything is billed once, by one of them."""
        self.run_device(one)
        self.report(5)
        self.succeeds(one, "flush", "--now")
        one.drain(30)
        self.report([{"subscription": f"sub_{n}"} for n in range(300)])
        file = self.directory / "portable"
        self.assertIn("records", self.succeeds(one, "backup", "--portable", str(file)))
        before = one.balances()
        one.kill()

        self.succeeds(other, "restore", str(file), "--directory", str(other.journal))
        self.run_device(other)
        self.succeeds(other, "verify")
        self.assertEqual(other.balances(), before)
        self.report(7)
        self.succeeds(other, "reconcile")
        other.drain(60)
        self.succeeds(other, "verify")
        billed = sum(Decimal(usage["quantity"]) for usage in self.sandbox.ledger()["usages"])
        self.assertEqual(billed, 5 + 300 + 7)
        other.kill()

    def test_a_journal_moves_from_this_machine_to_the_other(self):
        self.go(self.native(), self.emulated())

    def test_a_journal_moves_from_the_other_machine_to_this_one(self):
        self.go(self.emulated(), self.native())


class AnotherWordSize(Arm):
    def refuses(self, one, other, bits):
        self.run_device(one)
        self.report(3)
        backup = self.directory / "backup.mdb"
        self.succeeds(one, "backup", str(backup))
        self.assertEqual(one.terminate(), 0)
        other.journal.mkdir()
        data = other.journal / "data.mdb"
        data.write_bytes((one.journal / "data.mdb").read_bytes())
        other.write_config(METERS)
        code, text = other.run_to_end()
        self.assertEqual(code, EXIT_JOURNAL, text)
        for part in (f"{bits}-bit words", "meterctl backup --portable", "meterctl restore"):
            self.assertIn(part, text)
        self.assertEqual(data.read_bytes(), (one.journal / "data.mdb").read_bytes())

        fresh = str(self.directory / "fresh")
        code, text = other.ctl("restore", str(backup), "--directory", fresh)
        self.assertEqual(code, 1, text)
        self.assertIn("meterctl backup --portable", words(text))
        code, text = other.ctl("fsck", "--directory", str(other.journal))
        self.assertIn(f"{bits}-bit words", words(text))

    def test_the_file_of_this_machine_is_refused_there(self):
        self.refuses(self.native(), self.emulated(), 64)

    def test_the_file_of_the_other_machine_is_refused_here(self):
        self.refuses(self.emulated(), self.native(), 32)


class AddressSpace(Arm):
    def check(self, size):
        device = self.emulated()
        device.write_config(METERS)
        text = device.config_file.read_text().replace("[journal]\n", f'[journal]\nmax_size = "{size}"\n')
        device.config_file.write_text(text)
        return device

    def test_a_journal_beyond_it_is_refused_with_the_reason(self):
        for size in ("1025MiB", "3GiB", "4GiB", "16GiB"):  # the last two wrap to nothing in 32 bits
            device = self.check(size)
            for arguments in (("--check",), ()):
                code, text = device.run_to_end(*arguments)
                self.assertEqual(code, EXIT_CONFIGURATION, text)
                self.assertIn('from "1MiB" to "1GiB" on this machine', text.replace("\\", ""))
        self.assertFalse(device.journal.exists())

    def test_the_largest_is_opened_and_counts(self):
        self.device = self.check("1GiB")
        self.device.start()
        self.report(3)
        self.assertEqual(self.counted(), 3)
        self.assertEqual(self.device.get("/status")["journal"]["map_bytes"], 1 << 30)


class Beyond2038(Arm):
    def setUp(self):
        super().setUp()
        ahead = NOON - int(time.time())
        self.environment = os.environ | {"METERD_TEST_CLOCK_AHEAD": str(ahead)}

    def later(self):
        device = self.make("later", self.options.emulated / "meterd-later", self.options.meterctl)
        device.environment = self.environment
        return device

    def test_the_control_the_librarys_time_t_does_not_reach_that_far(self):
        program = self.options.emulated / "print_time-later"
        said = int(subprocess.run([program], capture_output=True, text=True, check=True, env=self.environment).stdout)
        if self.options.word_bits == 32:
            self.assertEqual(said, -1)
        else:
            self.assertAlmostEqual(said, NOON, delta=3_600)

    def certificate(self):
        """Valid around 2040 only, for localhost; it is its own authority."""
        key, made = self.directory / "tls.key", self.directory / "tls.pem"
        config, index = self.directory / "ca.conf", self.directory / "index"
        index.touch()
        config.write_text(
            f"[ca]\ndefault_ca = test\n[test]\ndatabase = {index}\nnew_certs_dir = {self.directory}\n"
            "rand_serial = yes\ndefault_md = sha256\npolicy = any\ncopy_extensions = copy\n"
            "[any]\ncommonName = supplied\n"
        )
        request = self.directory / "request"
        run = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]
        run += ["-out", request, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run(run, check=True, capture_output=True)
        run = ["openssl", "ca", "-batch", "-notext", "-selfsign", "-config", config, "-keyfile", key, "-in", request]
        run += ["-out", made, "-startdate", "20390601000000Z", "-enddate", "20410601000000Z"]
        subprocess.run(run, check=True, capture_output=True)
        return made, key

    def start_at_tls(self, device, certificate, key):
        directory = self.directory / "tls"
        directory.mkdir()
        sandbox = Sandbox(self.options.sandbox, directory, arguments=["--tls-cert", certificate, "--tls-key", key])
        self.addCleanup(sandbox.stop)
        device.environment = self.environment | {"SSL_CERT_FILE": str(certificate)}
        device.write_config(METERS, upstream_port=sandbox.port, seal="1d")
        text = device.config_file.read_text().replace("http://127.0.0.1", "https://localhost")
        device.config_file.write_text(text)
        device.start()

    def test_what_is_counted_then_is_counted_on_that_day_and_billed_over_tls(self):
        self.device = self.later()
        certificate, key = self.certificate()
        self.start_at_tls(self.device, certificate, key)
        self.report(5)
        self.device.kill()
        self.device.start()
        self.report([{"time_ms": (NOON - 86_400) * 1000}] * 2)  # the day before
        days = {key[2]: Decimal(row["accepted"]) for key, row in self.device.balances().items()}
        self.assertEqual(days, {"2040-01-01": 5, "2039-12-31": 2})
        self.device.drain(30)
        rows = json.loads(self.succeeds(self.device, "--json", "usages"))["usages"]
        dates = {Decimal(row["usage"]["quantity"]): int(row["usage"]["usage_date"]) // 86_400 for row in rows}
        self.assertEqual(dates, {5: NOON // 86_400, 2: NOON // 86_400 - 1})
        for row in rows:
            self.assertAlmostEqual(int(row["usage"]["created_at"]), NOON, delta=3_600)
        self.succeeds(self.device, "verify")

    def test_the_control_the_certificate_is_refused_today(self):
        device = self.emulated()
        certificate, key = self.certificate()
        self.environment = dict(os.environ)
        self.start_at_tls(device, certificate, key)
        self.device = device
        self.report(1)
        device.ctl("flush", "--now")
        wait_until("it is said", lambda: "certificate looks not yet valid" in json.dumps(device.get("/status")), 30)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("meterd", "meterctl", "sandbox", "native", "emulated"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--word-bits", type=int, required=True)
    ContractTest.options = parser.parse_args()
    # Between machines whose words have 64 bits a journal's file is the same, and both map what a device has.
    cases = [Portable, Beyond2038] + ([AnotherWordSize, AddressSpace] if ContractTest.options.word_bits == 32 else [])
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(case) for case in cases)
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
