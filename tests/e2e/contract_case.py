"""The base of the contract tests: a fresh device in a temp directory for each, and short ways to count with it."""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import time
import unittest
import urllib.parse
from decimal import Decimal

from frames import FramedConnection, compile_messages
from harness import KEY, Device, Sandbox
from verdict import exact_sum

METERS = (("sms.sent", "sms-usd"), ("api.call", "api-usd"))
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CREDENTIALS = {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}


def words(text):
    """Without the line breaks of an 80 column screen."""
    return " ".join(text.split())


class Watchdog:
    """What systemd does for a service with WatchdogSec=, but for the end that it makes."""

    def __init__(self, directory):
        path = directory / "watchdog.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.environment = os.environ | {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "300000"}

    def wait(self):
        """Until it is told next that meterd is alive."""
        self.socket.settimeout(20)
        while self.socket.recv(4096) != b"WATCHDOG=1":
            pass

    def told(self):
        """What it was told since it was asked last, without waiting."""
        out = []
        with contextlib.suppress(BlockingIOError):
            while True:
                out.append(self.socket.recv(4096, socket.MSG_DONTWAIT))
        return out


class ContractTest(unittest.TestCase):
    options = None  # meterd, meterctl, sandbox: set by main()
    messages = None

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-contract-"))
        self.addCleanup(shutil.rmtree, self.directory)
        if self.messages is None:
            ContractTest.messages = compile_messages(self.directory)
        self.device = self.make_device("device")
        self.began = int(time.time()) - 10_000  # what callers create is dated from then on

    def make_watchdog(self):
        watchdog = Watchdog(self.directory)
        self.addCleanup(watchdog.socket.close)
        return watchdog

    def make_device(self, name):
        device = Device(self.options.meterd, self.options.meterctl, self.directory / name)
        self.addCleanup(device.stop)
        return device

    def make_sandbox(self, directory=None, **options):
        sandbox = Sandbox(self.options.sandbox, directory or self.directory, **options)
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

    def form(self, usage, second, item_price="sms-usd", quantity="1"):
        fields = {"id": usage, "item_price_id": item_price, "usage_date": self.began + second, "quantity": quantity}
        return urllib.parse.urlencode(fields)

    def create(self, usage, second, subscription="sub_1", **fields):
        """By the device's own Usages API."""
        path = f"/api/v2/subscriptions/{subscription}/usages"
        status, body = self.device.request("POST", path, self.form(usage, second, **fields), FORM)
        self.assertEqual(status, 200, body)

    def delete(self, usage):
        """(status, the vendor's code of the error)."""
        status, body = self.device.request("POST", "/api/v2/subscriptions/sub_1/delete_usage", f"id={usage}", FORM)
        return status, json.loads(body).get("api_error_code")

    def usages(self):
        rows = json.loads(self.device.ctl("--json", "usages")[1])["usages"]
        return {row["usage"]["id"]: row["usage"] | {"billing": row["billing"]} for row in rows}

    def counted(self, item_price="sms-usd"):
        """What the journal has accepted."""
        rows = self.device.balances()
        return exact_sum(Decimal(row["accepted"]) for key, row in rows.items() if key[1] == item_price)

    def refused(self):
        return self.device.get("/status")["counting"]["refused"]

    def terminate(self):
        code = self.device.terminate()
        self.assertEqual(code, 0, self.device.log_tail())


def main():
    parser = argparse.ArgumentParser(add_help=False)
    for name in ("meterd", "meterctl", "sandbox"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    ContractTest.options, rest = parser.parse_known_args()
    unittest.main(module="__main__", argv=[sys.argv[0], *rest])
