"""A full disk: said at the start, survived while counting. A small file system is mounted for it, which needs root."""

import os
import subprocess

from contract_case import METERS, ContractTest
from contract_process import EXIT_JOURNAL
from harness import wait_until
from verdict import billed_totals, compare_balances, exact_sum


class FullDisk(ContractTest):
    def mount(self, size):
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.disk]
        if subprocess.run(command, capture_output=True).returncode != 0:
            self.fail("run as root: a small file system must be mounted for this")
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)
        self.addCleanup(self.device.stop)
        self.device.journal = self.disk / "journal"

    def fill(self):
        self.filler = self.disk / "filler"
        out = os.open(self.filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while True:
                os.write(out, bytes(4096))
        except OSError:
            os.close(out)

    def test_at_the_start_it_is_said_and_nothing_is_left_behind(self):
        self.mount("8k")
        self.fill()
        self.device.write_config(METERS)
        code, text = self.device.run_to_end()
        self.assertEqual(code, EXIT_JOURNAL, text)
        self.assertIn("space", text)
        self.filler.unlink()  # then the same directory must serve
        subprocess.run(["mount", "-o", "remount,size=64m", self.disk], check=True)
        self.device.start()
        self.report(1)
        self.assertEqual(self.counted(), 1)

    def test_while_counting_it_is_answered_and_what_was_refused_is_counted_later_and_once(self):
        self.mount("40m")
        self.start()
        self.fill()
        connection, counted = self.connect(), 0

        def send(number):
            events = [{"subscription": f"sub_{i}", "id": f"{number}-{i}"} for i in range(200)]
            return connection.ask(self.batch(events, producer="p"))

        for number in range(2_000):
            ack = send(number)
            if ack.error or ack.errors:
                break
            counted += ack.counted
        self.assertTrue(ack.error or ack.errors, "the disk never filled up")
        self.assertIsNone(self.device.process.poll())
        self.assertEqual(self.device.ctl("status")[0], 4)
        self.filler.unlink()
        wait_until("the refused batch is taken", lambda: send(number).duplicates == 200, 20)
        self.assertEqual(self.counted(), counted + 200)
        self.assertEqual(self.device.ctl("verify")[0], 0)
        self.terminate()

    def test_while_full_open_buckets_count_on_and_are_billed_and_new_ones_wait_for_room(self):
        self.mount("40m")
        sandbox = self.make_sandbox()
        self.start(upstream_port=sandbox.port, seal="1d")
        self.report(1)
        self.fill()
        connection, new = self.connect(), 0

        def refused():
            nonlocal new
            ack = connection.ask(self.batch([{"subscription": f"new_{new}"}]))
            new += ack.counted
            return ack.errors

        wait_until("a new bucket is refused", refused, 60, every=0.05)
        self.assertEqual(connection.ask(self.batch(3)).counted, 3)  # one that is open counts on
        self.assertGreaterEqual(self.refused()["full"], 1)
        self.assertEqual(self.device.ctl("status")[0], 4)
        self.device.drain(60)  # while the disk is full
        self.assertTrue(refused())
        billed = billed_totals(sandbox.ledger())
        self.assertEqual(exact_sum(billed.values()), 4 + new)
        self.assertEqual(compare_balances(self.device.balances(), billed), [])
        self.filler.unlink()
        before = new
        wait_until("a new bucket is taken, without a restart", lambda: refused() is not None and new > before, 20)
        self.device.drain(60)
        billed = billed_totals(sandbox.ledger())
        self.assertEqual(exact_sum(billed.values()), 4 + new)
        self.assertEqual(compare_balances(self.device.balances(), billed), [])
        self.assertEqual(self.device.ctl("verify")[0], 0)
        self.terminate()
