"""Backup while counting, restore into a new directory, reconcile: and everything is billed once."""

import shutil
import socket
import threading
from decimal import Decimal

from contract_case import ContractTest
from harness import wait_until
from verdict import exact_sum

EXIT_FINE, EXIT_FAILED, EXIT_ATTENTION = 0, 1, 4
METERS = (("sms.sent", "sms-usd"), ("api.call", "api-usd"))


class Backup(ContractTest):
    form = ()

    def setUp(self):
        super().setUp()
        self.sandbox = self.make_sandbox()
        self.start(upstream_port=self.sandbox.port)
        self.file = self.directory / "backup.mdb"

    def backup(self):
        code, text = self.device.ctl("backup", *self.form, str(self.file))
        self.assertEqual(code, EXIT_FINE, text)

    def billed(self):
        return exact_sum(Decimal(usage["quantity"]) for usage in self.sandbox.ledger()["usages"])

    def restored_device(self, name="restored"):
        """The same device on another directory, from the backup; the first one is gone."""
        device = self.make_device(name)
        code, text = device.ctl("restore", str(self.file), "--directory", str(device.journal))
        self.assertEqual(code, EXIT_FINE, text)
        device.write_config(METERS, upstream_port=self.sandbox.port)
        device.start()
        return device

    def held(self, device):
        return [upstream["name"] for upstream in device.get("/status")["upstreams"] if upstream["held"]]

    def reconcile(self, device):
        code, text = device.ctl("reconcile")
        self.assertEqual(code, EXIT_FINE, text)
        self.assertEqual(self.held(device), [])

    def test_what_the_original_billed_after_the_backup_is_not_billed_again(self):
        self.sandbox.set_faults({"rate": 1, "kinds": ["error_503"]})
        self.report(5)
        wait_until("a usage waits", lambda: self.device.get("/operator/outbox")["outbox"], 20)
        self.report(7)
        self.backup()
        self.report(3)
        self.sandbox.set_faults(None)
        self.device.drain(30)
        self.assertEqual(self.billed(), 15)
        self.device.kill()

        restored = self.restored_device()
        self.assertEqual(self.held(restored), ["billing"])
        self.assertEqual(restored.ctl("status")[0], EXIT_ATTENTION)
        restored.ctl("flush", "--now")
        self.reconcile(restored)
        restored.drain(30)
        self.assertEqual(self.billed(), 15)
        self.device = restored
        self.report(4)
        restored.drain(30)
        self.assertEqual(self.billed(), 19)
        self.assertEqual(restored.ctl("verify")[0], EXIT_FINE)

    def test_the_same_of_a_portable_one(self):
        self.form = ("--portable",)
        self.test_what_the_original_billed_after_the_backup_is_not_billed_again()

    def test_what_the_original_never_billed_is_billed_once(self):
        self.sandbox.set_faults({"rate": 1, "kinds": ["error_503"]})
        self.report(5)
        self.backup()
        self.device.kill()
        self.sandbox.set_faults(None)
        restored = self.restored_device()
        self.reconcile(restored)
        restored.drain(30)
        self.assertEqual(self.billed(), 5)

    def test_each_backup_taken_under_load_is_whole_and_has_what_was_acknowledged_before(self):
        acknowledged, over = [0], threading.Event()

        def report():
            connection = self.connect()
            while not over.is_set():
                connection.ask(self.batch([{"subscription": f"sub_{acknowledged[0] % 500}"}] * 20))
                acknowledged[0] += 20

        producer = threading.Thread(target=report)
        producer.start()
        try:
            for _ in range(5):
                before = acknowledged[0]
                self.backup()
                device = self.make_device("check")
                shutil.rmtree(device.journal, ignore_errors=True)
                code, text = device.ctl("restore", "--json", str(self.file), "--directory", str(device.journal))
                self.assertEqual(code, EXIT_FINE, text)
                device.write_config(METERS, upstream_port=self.sandbox.port)
                device.start()
                counted = sum(Decimal(row["accepted"]) for row in device.balances().values())
                device.kill()
                self.assertGreaterEqual(counted, before)
                self.assertLessEqual(counted, acknowledged[0] + 20)
        finally:
            over.set()
            producer.join()
        self.assertGreater(acknowledged[0], 0)

    def test_a_reader_that_stands_still_stalls_no_acknowledgement_and_no_stop(self):
        self.report([{"subscription": f"sub_{number}"} for number in range(5000)])
        reader = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(reader.close)
        reader.connect(str(self.device.api))
        reader.sendall(b"GET /operator/backup HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertIn(b"chunked", reader.recv(1000))  # and no more
        code, text = self.device.ctl("backup", str(self.file))
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("another backup is being taken", " ".join(text.split()))
        before = self.device.get("/status")["journal"]["commits"]
        for _ in range(10):
            self.report(1)
        self.assertGreaterEqual(self.device.get("/status")["journal"]["commits"], before + 10)
        self.terminate()

    def test_a_cloned_directory_and_an_older_file_put_back_are_held(self):
        self.report(5)
        self.terminate()
        older = (self.device.journal / "data.mdb").read_bytes()
        clone = self.make_device("clone")
        shutil.copytree(self.device.journal, clone.journal)
        clone.write_config(METERS, upstream_port=self.sandbox.port)
        clone.start()
        self.assertEqual(self.held(clone), ["billing"])
        clone.kill()

        self.device.start()
        self.assertEqual(self.held(self.device), [])
        self.report(1)
        self.device.drain(30)
        self.terminate()
        (self.device.journal / "data.mdb").write_bytes(older)
        self.device.start()
        self.assertEqual(self.held(self.device), ["billing"])
        self.reconcile(self.device)
        self.device.drain(30)
        self.assertEqual(self.billed(), 6)

    def test_a_kill_and_a_restart_make_no_copy(self):
        for _ in range(3):
            self.report(1)
            self.device.kill()
            self.device.start()
            self.assertEqual(self.held(self.device), [])
        self.device.drain(30)
        self.assertEqual(self.billed(), 3)

    def test_restore_needs_a_stopped_daemon_and_an_empty_directory(self):
        self.report(1)
        self.backup()
        code, text = self.device.ctl("restore", str(self.file), "--directory", str(self.device.journal))
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("in use", text)
        self.terminate()
        code, text = self.device.ctl("restore", str(self.file), "--directory", str(self.device.journal))
        self.assertEqual(code, EXIT_FAILED)
        self.assertIn("there already", " ".join(text.split()))
        (self.device.journal / "data.mdb").unlink()  # a lost journal: what a backup is for
        code, text = self.device.ctl("restore", str(self.file), "--directory", str(self.device.journal))
        self.assertEqual(code, EXIT_FINE, text)
        self.device.start()
        self.assertEqual(self.counted(), 1)
        self.assertEqual(self.held(self.device), ["billing"])
