"""A restore that ends in the middle: by an error of any call that writes, or by a kill as it enters it."""

import pathlib
import shutil
import signal
import subprocess
from collections import Counter
from decimal import Decimal

from contract_case import METERS, ContractTest
from verdict import exact_sum

RENAMES = "rename,renameat,renameat2"
SYNCS = "fsync,fdatasync,msync"
CHANGES = f"{RENAMES},{SYNCS},pwrite64,ftruncate,mkdir,mkdirat,fchown"


class Restore(ContractTest):
    kind = ()

    def setUp(self):
        super().setUp()
        self.sandbox = self.make_sandbox()
        self.start(upstream_port=self.sandbox.port)
        self.report([{"subscription": f"sub_{number}"} for number in range(50)])
        self.file = self.directory / "backup"
        code, text = self.device.ctl("backup", *self.kind, str(self.file))
        self.assertEqual(code, 0, text)
        self.terminate()
        self.into = self.directory / "into"

    def restore(self, *strace):
        """(exit code, what it said); into a directory that is there."""
        command = [self.device.meterctl, "restore", str(self.file), "--directory", str(self.into)]
        done = subprocess.run([*strace, *command], capture_output=True, text=True, timeout=60)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def empty(self):
        shutil.rmtree(self.into, ignore_errors=True)
        self.into.mkdir(mode=0o700)

    def steps(self):
        """Each call by which a restore changes something: its name, and which call of that name it is."""
        self.empty()
        log = self.directory / "calls"
        code, text = self.restore("strace", "-f", "-qq", "-e", f"trace={CHANGES}", "-e", "signal=none", "-o", str(log))
        self.assertEqual(code, 0, text)
        calls = [line.split("(")[0].split()[-1] for line in log.read_text().splitlines()]
        self.assertTrue({"rename", "renameat", "renameat2"} & set(calls), calls)
        self.assertTrue({"fsync", "fdatasync", "msync"} & set(calls), calls)
        passed, out = Counter(), []
        for call in calls:
            passed[call] += 1
            out.append((call, passed[call]))
        return out

    def at(self, step, what):
        call, nth = step
        return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={nth}"]

    def test_each_call_that_fails_is_told_and_leaves_the_directory_as_it_was(self):
        for step in self.steps():
            with self.subTest(step=step):
                self.empty()
                code, text = self.restore(*self.at(step, "error=EIO"))
                self.assertEqual(code, 1, text)
                self.assertIn("Input/output error", text)
                self.assertEqual(list(self.into.iterdir()), [])
        self.assertEqual(self.restore()[0], 0)

    def test_a_kill_anywhere_leaves_a_directory_into_which_the_next_restore_goes_or_a_restored_one(self):
        for step in self.steps():
            with self.subTest(step=step):
                self.empty()
                code, text = self.restore(*self.at(step, "signal=KILL"))
                self.assertEqual(code, -signal.SIGKILL, text)  # strace ends as what it traced
                if not pathlib.Path(self.into, "data.mdb").exists():
                    code, text = self.restore()
                    self.assertEqual(code, 0, text)
                self.assertEqual(sorted(path.name for path in self.into.iterdir()), ["data.mdb", "meterd.lock"])
                self.assertEqual(self.counts(), 50)

    def counts(self):
        """What a device that starts on it has, which knows that it is a copy."""
        device = self.make_device("restored")
        shutil.rmtree(device.journal, ignore_errors=True)
        self.into.rename(device.journal)
        device.write_config(METERS, upstream_port=self.sandbox.port)
        device.start()
        try:
            held = [upstream["name"] for upstream in device.get("/status")["upstreams"] if upstream["held"]]
            self.assertEqual(held, ["billing"])
            return exact_sum(Decimal(row["accepted"]) for row in device.balances().values())
        finally:
            device.kill()


class RestorePortable(Restore):
    kind = ("--portable",)
