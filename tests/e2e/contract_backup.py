"""Backup while counting, restore into a new directory, reconcile: and everything is billed once."""

import shutil
import threading
from decimal import Decimal

from contract_case import ContractTest
from harness import Device, wait_until
from verdict import exact_sum

EXIT_FINE, EXIT_FAILED, EXIT_ATTENTION = 0, 1, 4


class Backup(ContractTest):
    def setUp(self):
        super().setUp()
        self.sandbox = self.make_sandbox()
        self.start(upstream_port=self.sandbox.port)
        self.file = self.directory / "backup.mdb"

    def backup(self):
        code, text = self.device.ctl("backup", str(self.file))
        self.assertEqual(code, EXIT_FINE, text)

    def billed(self):
        return exact_sum(Decimal(usage["quantity"]) for usage in self.sandbox.ledger()["usages"])

    def restored_device(self, name="restored"):
        """The same device on another directory, from the backup; the first one is gone."""
        device = self.make_device(name)
        code, text = device.ctl("restore", str(self.file), "--directory", str(device.journal))
        self.assertEqual(code, EXIT_FINE, text)
        device.write_config((("sms.sent", "sms-usd"), ("api.call", "api-usd")), upstream_port=self.sandbox.port)
        device.start()
        return device

    def held(self, device):
        return [upstream["name"] for upstream in device.get("/status")["upstreams"] if upstream["held"]]

    def reconcile(self, device):
        code, text = device.ctl("reconcile")
        text += device.log_tail()
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
