"""The base of the contract tests: a fresh device in a temp directory for each, and short ways to count with it."""

import pathlib
import shutil
import tempfile
import unittest
from decimal import Decimal

from frames import FramedConnection, compile_messages
from harness import Device, Sandbox
from verdict import exact_sum

METERS = (("sms.sent", "sms-usd"), ("api.call", "api-usd"))


class ContractTest(unittest.TestCase):
    options = None  # meterd, meterctl, sandbox: set by contract_test.py
    messages = None

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-contract-"))
        self.addCleanup(shutil.rmtree, self.directory)
        if self.messages is None:
            ContractTest.messages = compile_messages(self.directory)
        self.device = self.make_device("device")

    def make_device(self, name):
        device = Device(self.options.meterd, self.options.meterctl, self.directory / name)
        self.addCleanup(device.stop)
        return device

    def make_sandbox(self, **options):
        sandbox = Sandbox(self.options.sandbox, self.directory, **options)
        self.addCleanup(sandbox.stop)
        return sandbox

    def start(self, **options):
        """A device that is its own ledger unless an upstream's port is given. Seconds until it was ready."""
        self.device.write_config(METERS, **options)
        return self.device.start()

    def connect(self):
        connection = FramedConnection(self.device.ingest, self.messages)
        self.addCleanup(connection.close)
        return connection

    def batch(self, events, ack=0, **fields):
        """`events`: a number of plain SMS, or a list of an Event's fields."""
        if isinstance(events, int):
            events = [{}] * events
        batch = self.messages.Batch(ack=ack, **fields)
        for fields in events:
            batch.events.add(**({"name": "sms.sent", "subscription": "sub_1"} | fields))
        return batch

    def report(self, events, ack=0):
        """Counts over a connection of its own."""
        answer = self.connect().ask(self.batch(events, ack))
        self.assertEqual(answer.error, "")
        return answer

    def counted(self, item_price="sms-usd"):
        """What the journal has accepted."""
        rows = self.device.balances()
        return exact_sum(Decimal(row["accepted"]) for key, row in rows.items() if key[1] == item_price)

    def refused(self):
        return self.device.get("/status")["counting"]["refused"]

    def terminate(self):
        code = self.device.terminate()
        self.assertEqual(code, 0, self.device.log_tail())
