#!/usr/bin/python3
"""Journals that programs of their time made, opened by the program of today: see README.md."""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import unittest
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import golden
import twilio
from contract_journal import crc32c
from frames import FramedConnection, compile_messages
from harness import Device, Sandbox, digest, free_port

EXIT_FINE, EXIT_JOURNAL, EXIT_ATTENTION = 0, 3, 4
FORMAT = max(number for number, _, _ in golden.files())
FOR_EVER = 'retain_delivered = "36500d"\n'  # nothing is forgotten because the journal is old by now
REMEMBER = 'remember_ids = "36500d"\naccept_past = "36500d"\n'
KINDS = "ABCDEFGHIJKLMNOPQRSTUVWXY"


def with_each_format(test):
    """The test is given the format, the data and what is expected of each golden journal."""
    def run(self):
        for number, file, expectation in golden.files():
            with self.subTest(format=number):
                test(self, number, golden.read(file), json.loads(expectation.read_text()))
    return run


class GoldenTest(unittest.TestCase):
    options = None

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-golden-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.messages = compile_messages(self.directory)
        self.token = twilio.write_token(self.directory)

    def device(self, name, data=None):
        device = Device(self.options.meterd, self.options.meterctl, self.directory / name)
        self.addCleanup(device.stop)
        if data:
            golden.put(data, device.journal)
        return device

    def configure(self, device, port=None):
        """Without a port nothing moves: what was counted is for upstreams that are not there."""
        key = f'key = {{ file = "{device.directory}/key" }}\n'
        name, seal = ("billing", "1s") if port else ("elsewhere", "1d")
        text = device.config(()).replace("[ingest]\n", FOR_EVER + "[ingest]\n" + REMEMBER)
        text += (f'[[upstream]]\nname = "{name}"\nkind = "chargebee"\nseal = "{seal}"\n{key}'
                 f'url = "http://127.0.0.1:{port or free_port()}/api/v2"\n')
        text += f'[[meter]]\nevent = "sms.sent"\nitem_price = "sms-usd"\nupstream = "{name}"\n'
        device.config_file.write_text(text)

    def start(self, device, port=None):
        self.configure(device, port)
        device.start()

    def migrations(self, device):
        return [line for line in device.log_file.read_text().splitlines() if "event=journal_migrated" in line]

    def expect_migration(self, device, number):
        lines = self.migrations(device)
        self.assertEqual(len(lines), 1 if number < FORMAT else 0, device.log_tail())
        self.assertTrue(all(f"from={number} to={FORMAT}" in line for line in lines), lines)

    def expect_sound(self, device):
        code, text = device.ctl("verify")
        self.assertIn(code, (EXIT_FINE, EXIT_ATTENTION), text)  # one record of it was set aside when it was made
        self.assertEqual(json.loads(device.ctl("--json", "verify")[1])["problems"], [])

    @with_each_format
    def test_it_has_every_kind_of_record(self, _, data, expectation):
        self.assertEqual("".join(golden.kinds_of(data)), KINDS)
        self.assertEqual(golden.kinds_of(data), expectation["kinds"])

    @with_each_format
    def test_it_holds_what_it_held_and_goes_on_counting(self, number, data, expectation):
        device = self.device(f"format-{number}", data)
        self.start(device)
        self.expect_migration(device, number)
        self.assertNotIn("journal_is_copy", device.log_file.read_text())
        found = golden.snapshot(device)
        for name, value in found.items():
            self.assertEqual(value, expectation[name], name)
        self.count_on(device, found)
        self.assertEqual(device.terminate(), 0)
        self.start(device)
        self.expect_migration(device, number)  # told once
        self.expect_sound(device)

    def count_on(self, device, before):
        """A sequence and an id of its time are known; what is new counts."""
        event = {"name": "sms.sent", "subscription": "sub_2", "quantity": "3"}
        answers = [self.ask(device, event, sequence=golden.LAST_SEQUENCE),
                   self.ask(device, event | {"id": golden.EVENT_ID}),
                   self.ask(device, event, sequence=golden.LAST_SEQUENCE + 1)]
        self.assertEqual(answers, [(0, 1), (0, 1), (1, 0)])
        self.expect_sound(device)
        after = json.loads(device.ctl("--json", "verify")[1])
        self.assertEqual(Decimal(after["accepted"]), Decimal(before["verify"]["accepted"]) + 3)

    def ask(self, device, event, **numbered):
        batch = self.messages.Batch(ack=0, producer=golden.PRODUCER, **numbered)
        batch.events.add(**event)
        connection = FramedConnection(device.ingest, self.messages)
        ack = connection.ask(batch)
        connection.close()
        return ack.counted, ack.duplicates

    @with_each_format
    def test_what_waited_in_it_is_delivered_as_it_was_encoded(self, number, data, expectation):
        directory = self.directory / f"sandbox-{number}"
        directory.mkdir()
        sandbox = Sandbox(self.options.sandbox, directory)
        self.addCleanup(sandbox.stop)
        device = self.device(f"delivers-{number}", data)
        self.start(device, sandbox.port)
        device.drain(60, but=("parked", "in_doubt"))
        billed = {usage["id"]: (usage["quantity"], usage["usage_date"]) for usage in sandbox.ledger()["usages"]}
        waited = {row["id"]: (row["quantity"], row["usage_date"]) for row in expectation["outbox"]
                  if row["state"] == "waiting" and row["quantity"] != "0"}
        self.assertGreater(len(waited), 2)
        self.assertEqual({usage: billed.get(usage) for usage in waited}, waited)
        self.assertEqual(len(billed), len(waited) + len(expectation["buckets"]["buckets"]))
        self.expect_sound(device)

    @with_each_format
    def test_as_a_backup_it_is_restored(self, number, data, expectation):
        backup = self.directory / f"backup-{number}"
        backup.write_bytes(data)
        device = self.device(f"restored-{number}")
        code, text = device.ctl("restore", str(backup), "--directory", str(device.journal))
        self.assertEqual(code, EXIT_FINE, text)
        self.start(device)
        self.expect_migration(device, number)
        self.assertIn("event=journal_is_copy", device.log_file.read_text())
        self.assertEqual(golden.snapshot(device)["balances"], expectation["balances"])
        device.stop()
        code, text = device.ctl("fsck", "--directory", str(device.journal))
        self.assertEqual(code, EXIT_FINE, text)

    # The controls.

    def refused(self, data, *words):
        device = self.device("refused", bytes(data))
        self.configure(device)
        before = digest(device.journal / "data.mdb")
        code, text = device.run_to_end()
        self.assertEqual(code, EXIT_JOURNAL, text)
        for word in words:
            self.assertIn(word, text)
        self.assertEqual(digest(device.journal / "data.mdb"), before)
        shutil.rmtree(device.journal)

    def newest(self):
        """Its data, and where its stamp lies in it: (data, begin, end)."""
        data = bytearray(golden.read(golden.files()[-1][1]))
        return next((data, at, at + size) for key, at, size in golden.records(data) if key == b"A")

    def test_a_flipped_stamp_is_refused(self):
        data, begin, _ = self.newest()
        data[begin + 6] ^= 1
        self.refused(data, "stamp")

    def test_a_higher_format_is_refused_and_not_one_byte_of_it_changed(self):
        data, begin, end = self.newest()
        self.assertEqual(data[begin + 4 : begin + 6], bytes([0x08, FORMAT]))
        data[begin + 5] = FORMAT + 1
        data[begin : begin + 4] = crc32c(b"A" + data[begin + 4 : end]).to_bytes(4, "big")
        self.refused(data, "newer meterd", f"format {FORMAT + 1}", "cannot go back")

    def test_each_format_is_kept(self):
        self.assertEqual([number for number, _, _ in golden.files()], list(range(FORMAT + 1)))

    def test_what_is_damaged_is_not_what_was_expected(self):
        _, file, expectation = golden.files()[-1]
        data = bytearray(golden.read(file))
        at, size = next((at, size) for key, at, size in golden.records(data) if key[:1] == b"B" and b"sub_1\x07api-usd" in key)
        data[at + size - 1] ^= 1  # of what is open in no usage: nothing else says how much it was
        device = self.device("damaged", bytes(data))
        self.start(device)
        self.assertNotEqual(golden.snapshot(device)["balances"], json.loads(expectation.read_text())["balances"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("meterd", "meterctl", "sandbox"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    GoldenTest.options, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
