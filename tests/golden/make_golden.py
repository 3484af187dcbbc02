#!/usr/bin/python3
"""Makes the golden journal of the newest format: every kind of record, in every state that a script can bring about,
by the programs that are given, and beside it what they say of it. See README.md for when.

    make_golden.py --meterd BIN/meterd --meterctl BIN/meterctl --client BIN/count_client --format N
"""

import argparse
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import gateway
import golden
import twilio
import volume
from frames import FramedConnection, compile_messages
from harness import ROOT, Device, Failed, Sandbox, free_port, wait_until

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BOOT_ID = "/proc/sys/kernel/random/boot_id"
INSTALLATION = twilio.installation("a")
EVENTS = {"sms.sent": "sms-usd", "api.call": "api-usd", "damaged.count": "damaged-usd"}
SOURCES = """[[source]]
kind = "interface"
name = "golden0"
event = "link.bytes"
subscription = "sub_link"
[[source]]
kind = "access-log"
socket = "{log}"
event = "api.call"
subscription_field = "sub"
worker_field = "worker"
sequence_field = "seq"
[[source]]
kind = "nftables"
table = "golden"
counter = "wwan"
event = "link.bytes"
subscription = "sub_link"
interval = "1s"
"""
SUBSCRIPTION = '[[subscription]]\nid = "sub_1"\nitem_prices = ["sms-usd", "api-usd"]\n'
RULES = "add table inet golden\nadd counter inet golden wwan { packets 3 bytes 300; }\n"


class Maker:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.sandbox = Sandbox(ROOT / "tests/sandbox/billing_sandbox", directory)
        self.device = Device(options.meterd, options.meterctl, directory / "device")
        self.token = twilio.write_token(directory)
        self.messages = compile_messages(directory)
        self.log = self.device.directory / "access.sock"
        self.app = None
        self.began = int(time.time()) - 10_000

    def start(self, boot, trust="always", billing=False, port=None, seal="1s", sources=False, listed=False):
        (self.directory / "boot_id").write_text(f"golden-boot-{boot}\n")
        upstreams, rules = "", "".join(f'[[meter]]\nevent = "{event}"\nitem_price = "{price}"\nupstream = '
                                       f'"{"billing" if billing else "ledger"}"\n' for event, price in EVENTS.items())
        if billing:
            port = port or self.sandbox.port
            key = f'key = {{ file = "{self.device.directory}/key" }}\n'
            upstreams = (f'[[upstream]]\nname = "billing"\nkind = "chargebee"\nurl = "http://127.0.0.1:{port}/api/v2"\n'
                         f'{key}seal = "{seal}"\n' + twilio.upstream("market", twilio.V1, port, self.token, seal='"1s"'))
            rules += '[[meter]]\nevent = "link.bytes"\nitem_price = "link-usd"\nupstream = "billing"\n'
            rules += SUBSCRIPTION if listed else ""
            rules += twilio.meter("mms.sent", twilio.billing_sid(1), "market", "0.0075")
        text = self.device.config(()).replace('trust = "always"', f'trust = "{trust}"')
        text += upstreams + rules + (SOURCES.format(log=self.log) if sources else "")
        self.device.config_file.write_text(text)
        self.device.start()

    def stop(self):
        if self.device.terminate() != 0:
            raise Failed(self.device.log_tail())

    def report(self, *events, **numbered):
        """`events`: (name, subscription, quantity, and an id if it has one) of each."""
        batch = self.messages.Batch(ack=0, **numbered)
        for event in events:
            batch.events.add(**dict(zip(("name", "subscription", "quantity", "id"), event)))
        connection = FramedConnection(self.device.ingest, self.messages)
        ack = connection.ask(batch)
        connection.close()
        if ack.error or ack.counted != len(events):
            raise Failed(f"unexpected answer {ack}")

    def call(self, path, expected=200, key=None, **fields):
        headers = FORM | ({"chargebee-idempotency-key": key} if key else {})
        status, body = self.device.request("POST", path, urllib.parse.urlencode(fields), headers)
        if status != expected:
            raise Failed(f"{path}: {status} {body}")

    def create(self, usage, second, quantity="1", key=None):
        self.call("/api/v2/subscriptions/sub_1/usages", key=key, id=usage, item_price_id="sms-usd",
                  usage_date=self.began + second, quantity=quantity)

    def ctl(self, *arguments):
        code, text = self.device.ctl(*arguments)
        if code != 0:
            raise Failed(f"meterctl {' '.join(arguments)} ended with {code}: {text}")
        return text

    def until(self, state, *ids):
        """At least one, and those of `ids`."""
        def there():
            rows = self.device.get("/operator/outbox")["outbox"]
            found = {row["id"] for row in rows if row["state"] == state and row["last_error"]}
            return found and found.issuperset(ids)
        wait_until(f"usages are {state}", there, 30)

    # The steps.

    def count_without_a_clock(self):
        """Slices, of a boot that never saw a trusted time."""
        self.start(2, trust="synchronised")
        self.report(("sms.sent", "sub_1", "2.5"), ("api.call", "sub_2", "1"))
        if not self.device.get("/operator/buckets")["undated"]:
            raise Failed("this machine's clock is trusted: no slices can be made here")
        self.stop()

    def bill_in_the_own_ledger(self):
        """Invoices; callers' usages of the ledger; an answer that is remembered."""
        self.start(1)
        self.create("ledger_1", 0, "5", key="golden-key")
        self.create("ledger_2", 10, "7.50")
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began + 1_000))
        self.ctl("invoice", "close", "--invoice", "golden_inv", "--subscription", "sub_1", "--until", until)
        self.create("ledger_3", 2_000)
        self.stop()

    def damage_a_record(self):
        """A producer's cursor, that the next start sets aside."""
        self.start(3)
        self.report(("damaged.count", "sub_1", "1"), producer="damaged", sequence=1)
        self.stop()
        file = self.device.journal / "data.mdb"
        data, key = bytearray(file.read_bytes()), b"P\x07damaged"
        at = data.find(key)
        while at >= 0:  # in every page that has it
            data[at + len(key)] ^= 1
            at = data.find(key, at + 1)
        file.write_bytes(data)

    def deliver(self):
        """Receipts, what the upstream refused, what it may have or not, and what was given up."""
        self.start(3, billing=True, sources=True)
        for sequence in range(1, golden.LAST_SEQUENCE + 1):
            self.report(("sms.sent", "sub_1", "0.5"), producer=golden.PRODUCER, sequence=sequence)
        self.report(("sms.sent", "sub_2", "3", golden.EVENT_ID), producer=golden.PRODUCER)
        self.report(("mms.sent", INSTALLATION, "3"), ("api.call", "sub_2", "1"))  # 0.0225: a part of a cent is carried on
        self.count_in_shared_memory()
        self.log_calls()
        self.create("deleted", 100)
        self.device.drain(60)
        self.sandbox.set_faults({"script": ["drop_after"] * 3})
        self.report(("mms.sent", INSTALLATION, "1000"))
        self.ctl("flush", "--now")
        self.until("in_doubt")
        self.sandbox.set_faults({"rate": 1, "kinds": ["error_400"]})
        self.create("refused", 110)
        self.create("given_up", 120)
        self.ctl("flush", "--now")
        self.until("parked", "refused", "given_up")
        self.ctl("withdraw", "given_up", "--reason", "golden")
        self.stop()

    def count_in_shared_memory(self):
        """By an app that then keeps still and stays, so that what it was counted up to stays too."""
        truth = self.directory / "truth"
        truth.write_bytes(bytes(4096))
        command = [self.options.client, self.device.directory, truth, "sms.sent", "sub_app", "1"]
        self.app = subprocess.Popen(command)
        wait_until("an app has counted", lambda: any(key[0] == "sub_app" for key in self.device.balances()), 30)
        with open(truth, "r+b") as shared:
            shared.write((1).to_bytes(8, "little"))
        wait_until("the app keeps still", lambda: truth.read_bytes()[8] == 1, 30)

    def log_calls(self):
        """Of worker 2 two messages are lost."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for worker, number in (("1", 1), ("1", 2), ("2", 1), ("2", 4)):
                call = {"sub": "sub_2", "status": "200", "path": "/", "worker": worker, "seq": str(number)}
                sender.sendto(b"<190>Nov 22 10:00:00 meterd: " + json.dumps(call).encode(), str(self.log))

    def leave_it_waiting(self):
        """The upstream is gone: usages that wait, a deletion, who stands behind it, and what is not sealed."""
        self.start(4, billing=True, port=free_port(), listed=True)
        self.report(("sms.sent", "sub_1", "11"))
        self.ctl("flush", "--now")
        self.until("waiting")
        self.create("waits", 130, "2")
        self.call("/api/v2/subscriptions/sub_1/delete_usage", id="deleted")
        self.create("behind", 100, "4")
        self.stop()
        self.start(4, billing=True, port=free_port(), seal="1d", listed=True)
        self.report(("api.call", "sub_1", "7.25"))

    def keep(self):
        backup = self.directory / "backup.mdb"
        self.ctl("backup", str(backup))
        data = backup.read_bytes()
        name = golden.HERE / f"format-{self.options.format}"
        golden.pack(data, name.with_suffix(".mdb.xz"))
        expectation = {"kinds": golden.kinds_of(data)} | golden.snapshot(self.device)
        name.with_suffix(".json").write_text(json.dumps(expectation, indent=1) + "\n")
        print(f"{name}: {len(data)} bytes, {expectation['kinds']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("meterd", "meterctl", "client"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--format", required=True, type=int, help="of what these programs write")
    options = parser.parse_args()
    volume.enter()
    gateway.enter()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-golden-"))
    (directory / "boot_id").touch()
    volume.run("mount", "--bind", directory / "boot_id", BOOT_ID)
    gateway.run("nft", "-f", "-", text=RULES)
    gateway.run("ip", "link", "add", "golden0", "type", "veth", "peer", "name", "golden1")
    maker = Maker(options, directory)
    try:
        maker.bill_in_the_own_ledger()
        maker.count_without_a_clock()
        maker.damage_a_record()
        maker.deliver()
        maker.leave_it_waiting()
        maker.keep()
    finally:
        maker.device.stop()
        maker.sandbox.stop()
        if maker.app:
            maker.app.kill()
            maker.app.wait()
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
