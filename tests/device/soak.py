"""1,000 events a second for long, each batch acknowledged as committed, and delivered every minute, under a memory limit
that the kernel enforces: no process was killed for memory, its own memory does not grow, and everything is billed."""

import statistics
import time

import billing
from harness import Failed, wait_until
from steady import RATE, Steady

LIMIT = "24M"
TOO_LITTLE = "2M"
SUBSCRIPTIONS = 100
SAMPLE_SECONDS = 5
GROWTH_MAX_KB = 512  # between the medians of the second and of the last quarter
GROUP = "/sys/fs/cgroup/system.slice/meterd.service"


def quarters(samples):
    """The median of each."""
    bounds = [len(samples) * n // 4 for n in range(5)]
    return [int(statistics.median(samples[begin:end])) for begin, end in zip(bounds, bounds[1:])]


def growth(samples):
    """From the second quarter to the last; in the first one it warms up."""
    _, second, _, last = quarters(samples)
    return last - second


class Soak:
    def __init__(self, machine, sandbox, messages, minutes):
        self._machine, self._sandbox, self._messages, self._minutes = machine, sandbox, messages, minutes
        self._own, self._group = [], []  # KB
        self._steady = self._process = None
        self._next = 0

    def all(self):
        return [
            (f"{self._minutes} minutes at {RATE} events/s, MemoryMax={LIMIT}", self.run),
            ("nothing was killed for memory", self.killed),
            ("its own memory does not grow", self.flat),
            ("everything is billed once", self.billed),
            (f"MemoryMax={TOO_LITTLE}: killed (control)", self.control),
        ]

    def run(self):
        self._machine.boot()
        self._machine.drop_in("limit", f"MemoryMax={LIMIT}\nMemorySwapMax=0\n")
        billing.configure(self._machine, seal="1m")
        self._process = self._machine.main_process()
        self._steady = Steady(self._machine, self._messages, "soak", SUBSCRIPTIONS)
        took = self._steady.run(60 * self._minutes, meanwhile=self._sample)
        events = self._events()
        return f"{self._steady.sent} events in {took:.0f} s; control group at most {max(self._group)} KB, {events}"

    def _sample(self):
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SAMPLE_SECONDS
        said = self._machine.run("sh", "-c", f"sed -n 's/^RssAnon:\\t *\\([0-9]*\\) kB/\\1/p' /proc/{self._process}/status; "
                                             f"cat {GROUP}/memory.current").stdout.split()
        self._own.append(int(said[0]))
        self._group.append(int(said[1]) // 1024)

    def _events(self):
        return " ".join(self._machine.run("cat", f"{GROUP}/memory.events").stdout.split())

    def killed(self):
        said = self._events()
        if " oom_kill 0" not in f" {said}" or self._machine.restarts() != 0 or self._machine.main_process() != self._process:
            raise Failed(f"{self._machine.restarts()} restarts; {said}")
        return said

    def flat(self):
        grown = growth(self._own)
        if growth([n * GROWTH_MAX_KB // len(self._own) * 3 for n in range(len(self._own))]) <= GROWTH_MAX_KB:
            raise Failed("a memory that grows would not be noticed")
        if grown > GROWTH_MAX_KB:
            raise Failed(f"RssAnon grew by {grown} KB, by quarters {quarters(self._own)}: {self._own}")
        return (f"RssAnon at most {max(self._own)} KB in {len(self._own)} samples, by quarters {quarters(self._own)}: "
                f"{grown:+d} KB from the second to the last (at most {GROWTH_MAX_KB})")

    def billed(self):
        ledger = billing.settle(self._machine, self._sandbox, self._steady.sums())
        return f"{self._steady.sent} events of {SUBSCRIPTIONS} subscriptions in {len(ledger['usages'])} usages"

    def control(self):
        self._machine.drop_in("limit", f"MemoryMax={TOO_LITTLE}\nMemorySwapMax=0\n")
        self._machine.run("systemctl", "restart", "--no-block", "meterd.service")
        wait_until("it is killed for memory", lambda: "oom" in self._machine.run(
            "journalctl", "--boot", "--unit", "meterd", "--output", "cat", "--no-pager", "--lines", "20").stdout, 120, every=1)
        return "the kernel kills it, and systemd says so"
