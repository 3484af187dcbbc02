"""A journal that cannot be opened: an exit code, a message that says what to do, and not one byte changed."""

import os
import re

from contract_case import ContractTest
from contract_process import EXIT_JOURNAL
from harness import digest

# Key "A", CRC-32C, then the stamp: format, word_bits, byte_order, epoch, created_at_ms, needs. See
# agent/journal/FORMAT.md.
STAMP = re.compile(rb"A(.{4})\x08\x01(\x10[\x20\x40]\x1d.{4}\x22\x10.{16}\x28.{6}\x32\x05)0\.1\.0", re.DOTALL)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def from_the_future(match):
    """The same stamp of the format after this one, as a later version would have written it."""
    payload = b"\x08\x02" + match[2] + b"9.8.7"
    return b"A" + crc32c(b"A" + payload).to_bytes(4, "big") + payload


class UnopenableJournal(ContractTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.report(500)
        self.terminate()
        self.data = self.device.journal / "data.mdb"
        self.good = self.data.read_bytes()

    def refused(self, *words):
        before = digest(self.data) if self.data.exists() else None
        code, text = self.device.run_to_end()
        self.assertEqual(code, EXIT_JOURNAL, text)
        self.assertIn("journal", text)
        for word in words:
            self.assertIn(word, text)
        self.assertEqual(digest(self.data) if self.data.exists() else None, before)
        self.data.write_bytes(self.good)  # what an operator would do: it opens again, with everything in it
        self.device.start()
        self.assertEqual(self.counted(), 500)

    def test_one_from_a_newer_version(self):
        newer, found = STAMP.subn(from_the_future, self.good)
        self.assertGreater(found, 0, "the stamp is not where the format says")
        self.data.write_bytes(newer)
        self.refused("newer", "9.8.7", "cannot go back")

    def test_garbage(self):
        self.data.write_bytes(os.urandom(len(self.good)))
        self.refused("restore a backup")

    def test_text(self):
        self.data.write_text("not a database\n")
        self.refused("restore a backup")

    def test_an_empty_file_where_a_journal_was(self):
        self.data.write_bytes(b"")
        self.refused("meterd.lock")

    def test_a_vanished_file_where_a_journal_was(self):
        self.data.unlink()
        self.refused("meterd.lock")

    def test_a_file_cut_short(self):
        self.data.write_bytes(self.good[:8192])  # both meta pages, nothing of what they point to
        self.refused("restore a backup")

    def test_a_stamp_that_fails_its_checksum(self):
        damaged, found = STAMP.subn(lambda match: match[0][:-1] + bytes([match[0][-1] ^ 1]), self.good)
        self.assertGreater(found, 0, "the stamp is not where the format says")
        self.data.write_bytes(damaged)
        self.refused()
