"""What the package needs on the machine, as one table and as JSON: sizes, memory, the time until it counts, what it writes.
Memory is the kernel's account of the process (RssAnon: its own; RssFile: pages of programs and of the journal, which the
kernel may take back), and of the service's control group, with what is cached for it. A MB has 10^6 bytes. Time is the
emulator's, unless it is said to be that of its instructions. Written is what the kernel has on the process's account, and
what reached the disk from anybody, with the file system's own.
"""

import datetime
import json
import statistics
import subprocess
import time

import load
from harness import Failed
from steady import COMMITTED, RECEIVED, Steady

PACKAGE_KB, PROGRAM_MB = 600, {"arm64": 1.6, "armhf": 1.0}
KEYS, KEYS_A_BATCH = 10_000, 1_000
STARTS = 5
SETTLE_SECONDS = 30
IDLE_SECONDS = 240
LOADED_SECONDS = 60
WARM_UP_KEYS = 30
CONFIG = f'[[meter]]\nevent = "{load.EVENT}"\nitem_price = "{load.ITEM_PRICE}"\n'
GROUP = "/sys/fs/cgroup/system.slice/meterd.service"
# The same work here and there; perl is on every Debian.
COMPUTATION = ("use Time::HiRes 'time'; my ($t, $x) = (time, 1); "
               "$x = ($x * 1103515245 + 12345) & 0x7fffffff for 1 .. 2e6; print time - $t")


class Footprint:
    def __init__(self, machine, package, messages):
        self._machine, self._package, self._messages = machine, package, messages
        self._rows = []  # (what, unit, value, at most, whether more fails)

    def measure(self, file):
        self._sizes()
        self._starts()
        self._idle()
        self._with_keys()
        self._written_under_load()
        self._print()
        kind = self._machine.kind
        file.write_text(json.dumps({
            "architecture": kind.architecture, "machine": f"{kind.emulator}, {kind.processor}, no acceleration",
            "date": datetime.date.today().isoformat(),
            "figures": [dict(zip(("figure", "unit", "value", "at_most"), row)) for row in self._rows]}, indent=1) + "\n")
        over = [row[0] for row in self._rows if row[4] and row[2] > row[3]]
        if over:
            raise Failed(f"more than is promised: {', '.join(over)}")
        return f"{len(self._rows)} figures, above; as JSON in {file}"

    def _row(self, what, unit, value, at_most=None, fails=False):
        self._rows.append((what, unit, round(value, 2), at_most, fails))

    def _sizes(self):
        self._row("package", "KB", self._package.stat().st_size / 1e3, PACKAGE_KB)
        self._row("meterd, the program", "MB", int(self._machine.run("stat", "--format=%s", "/usr/sbin/meterd").stdout) / 1e6,
                  PROGRAM_MB[self._machine.kind.architecture])

    def _memory(self, name, at_most):
        process = self._machine.main_process()
        status = dict(line.split(":\t", 1) for line in self._machine.run("cat", f"/proc/{process}/status").stdout.splitlines()
                      if ":\t" in line)
        anonymous, of_files = (int(status[key].split()[0]) * 1024 / 1e6 for key in ("RssAnon", "RssFile"))
        self._row(f"RssAnon, {name}", "MB", anonymous, at_most, True)
        self._row(f"file pages, {name}", "MB", of_files)
        for what in ("current", "peak"):
            said = int(self._machine.run("cat", f"{GROUP}/memory.{what}").stdout)
            self._row(f"control group, {name}: {what}", "MB", said / 1e6)

    def _starts(self):
        """From exec to counting. On a machine with a clock that counts instructions the figure is the same whatever else is
        done here."""
        self._row(f"exec to counting, emulated: median of {STARTS}", "ms", self._median_start())
        there = min(float(self._machine.run("perl", "-e", COMPUTATION).stdout) for _ in range(3))
        here = min(float(subprocess.run(["perl", "-e", COMPUTATION], check=True, capture_output=True, text=True).stdout)
                   for _ in range(3))
        self._row("emulated: slower than this machine's own processor", "times", there / here)
        self._machine.cut()
        self._machine.boot(by_instructions=True)
        at_boot = self._machine.ready_ms()
        self._row(f"exec to counting, 1,000 million instructions/s: median of {STARTS}", "ms", self._median_start(), 300, True)
        self._row("exec to counting, 1,000 million instructions/s, at boot", "ms", at_boot, 300)
        self._machine.cut()
        self._machine.boot()

    def _median_start(self):
        took = []
        for _ in range(STARTS):
            self._machine.run("systemctl", "restart", "meterd.service")
            took.append(self._machine.ready_ms())
        return statistics.median(took)

    def _written(self):
        """(by the daemon, to the disk), in bytes."""
        process = self._machine.main_process()
        own = self._machine.run("sed", "-n", "s/^write_bytes: //p", f"/proc/{process}/io").stdout
        disk = self._machine.run("cat", "/sys/block/vda/stat").stdout.split()
        return int(own), int(disk[6]) * 512

    def _row_written(self, name, before, scale):
        own, disk = (after - earlier for after, earlier in zip(self._written(), before))
        self._row(f"written by meterd, {name}", "MB", own * scale / 1e6)
        self._row(f"written to the disk, {name}", "MB", disk * scale / 1e6)

    def _idle(self):
        time.sleep(SETTLE_SECONDS)  # the start is no part of it, nor what it left to be written
        self._machine.run("sync")
        before = self._written()
        time.sleep(IDLE_SECONDS)
        self._memory("idle", 10.0)
        self._row_written("an idle hour", before, 3600 / IDLE_SECONDS)

    def _with_keys(self):
        self._machine.write("/etc/meterd/meterd.toml", CONFIG)
        self._machine.run("systemctl", "restart", "meterd.service")
        steady = Steady(self._machine, self._messages, "key", KEYS)
        for _ in range(KEYS // KEYS_A_BATCH):
            steady.send(KEYS_A_BATCH)
        steady.close()
        found = len(load.ask(self._machine, "GET", "/operator/buckets")[1]["buckets"])
        if found != KEYS:
            raise Failed(f"{found} of {KEYS} keys are there")
        self._memory("10,000 keys", 16.0)

    def _written_under_load(self):
        for ack, name in ((RECEIVED, "a million events as received"), (COMMITTED, "a million events as committed, by 100")):
            steady = Steady(self._machine, self._messages, f"load_{ack}", WARM_UP_KEYS)
            steady.send(WARM_UP_KEYS)
            before = self._written()
            steady.run(LOADED_SECONDS, ack)
            steady.send(1)  # with it everything before
            self._row_written(name, before, 1e6 / steady.sent)
            steady.close()

    def _print(self):
        width = max(len(row[0]) for row in self._rows)
        print(f"\n| {f'on an emulated {self._machine.kind.architecture} machine':{width}} | unit  |     value | asked")
        for what, unit, value, at_most, _ in self._rows:
            asked = "" if at_most is None else f"<= {at_most} {'ok' if value <= at_most else 'OVER'}"
            print(f"| {what:{width}} | {unit:5} | {value:9,.2f} | {asked}")
        print(flush=True)
