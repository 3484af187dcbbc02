"""Power cuts of an emulated machine under load: apps on the host report to it and note what was acknowledged as committed;
it is cut at drawn moments, under load and while it boots, and of what its disk's write cache holds all or any part is lost.
Whatever boots next: the service is started by systemd, all that was acknowledged is there, and meterd's check of every
record finds nothing. At the end each usage is billed once, and the sums are what was acknowledged, exactly.
"""

import contextlib
import random
import time
from collections import Counter
from decimal import Decimal

import billing
import load
from harness import Failed, wait_until

AT_THE_START = 0.25  # of the cuts are followed by one while the machine boots
AT_A_WRITE = 0.7  # of those under load are at a write of the disk, the others at any time
WRITES_MAX = 40
BATCHES_MAX = 30  # acknowledged until a cut
LOAD_SECONDS = 200
SURVIVAL = (0, 0.1, 0.5, 0.9)  # of the sectors that were written and not flushed; drawn for each cut
FAULTS = {"rate": 0.1, "kinds": ["all", "-error_429_bare", "-lock_timeout"], "retry_after": "1", "delay_seconds": 0.05}


class Lost(Failed):
    """The machine broke its promise."""


class PowerCuts:
    def __init__(self, name, machine, sandbox, messages, seed, lies=False):
        """`lies`: all that the disk is asked to flush is lost too."""
        self._machine, self._sandbox, self._lies = machine, sandbox, lies
        self._random, self._sectors = (random.Random(f"{seed}/{name}/{what}") for what in ("cuts", "sectors"))
        self._senders = [load.Reporter(machine, f"{name}_http_{n}") for n in range(2)]
        self._senders += [load.Framed(machine, f"{name}_framed_{n}", messages) for n in range(2)]
        self.under_load = self.at_boot = self.not_flushed = self.survived = 0
        self.boots, self.ready = [], []

    def run(self, cuts):
        """The machine is on, and on again at the end."""
        self._sandbox.set_faults(FAULTS)
        for sender in self._senders:
            sender.start()
        while self.under_load < cuts:
            self._cut_under_load()
            if self._random.random() < AT_THE_START:
                self._cut_a_boot()
            self.boots.append(self._machine.boot(lies=self._lies))
            self.ready.append(self._machine.ready_ms())
            self._check()

    def _cut_under_load(self):
        """After some of each sender's batches, and at any moment of what follows."""
        wanted = [sender.acknowledged + load.BATCH * self._random.randint(1, BATCHES_MAX) for sender in self._senders]
        wait_until("the load goes on",
                   lambda: all(s.acknowledged >= w for s, w in zip(self._senders, wanted)), LOAD_SECONDS)
        if self._random.random() < AT_A_WRITE:
            self._cut(self._random.randint(1, WRITES_MAX))
        else:
            time.sleep(self._random.uniform(0, 1))
            self._cut()
        self.under_load += 1

    def _cut(self, after_writes=0):
        """Of what the disk had not flushed yet it may have written nothing, or any part."""
        rate = 0 if self._lies else self._random.choice(SURVIVAL)
        not_flushed, survived = self._machine.cut(lambda: self._sectors.random() < rate, after_writes)
        self.not_flushed += not_flushed
        self.survived += survived

    def _cut_a_boot(self):
        self._machine.power_on(self._lies)
        time.sleep(self._random.uniform(0, self.boots[-1] if self.boots else 20))
        self._cut()
        self.at_boot += 1

    def _check(self):
        """What was acknowledged before the question is there in the answer."""
        acknowledged = {sender.subscription: sender.acknowledged for sender in self._senders}
        counted = Counter()
        for (subscription, _, _), row in load.balances(self._machine).items():
            counted[subscription] += Decimal(row["accepted"])
        missing = {name: int(many - counted[name]) for name, many in acknowledged.items() if counted[name] < many}
        if missing:
            raise Lost(f"cut {self.under_load}: acknowledged, and not there: {missing}")
        done = self._machine.run("meterctl", "verify", check=False)
        if done.returncode != 0:
            raise Lost(f"cut {self.under_load}: meterctl verify ended with {done.returncode}: {done.stdout}")

    def stop(self):
        """Every batch is acknowledged in the end."""
        for sender in self._senders:
            sender.stop()

    def duplicates(self):
        return sum(sender.duplicates for sender in self._senders)

    def abandon(self):
        """However it went."""
        for sender in filter(load.Reporter.is_alive, self._senders):
            with contextlib.suppress(Failed):
                sender.stop(seconds=0)

    def billed(self):
        """(events, usages, requests), once what was billed is what was acknowledged."""
        self._sandbox.set_faults(None)
        expected = {sender.subscription: sender.acknowledged for sender in self._senders}
        ledger = billing.settle(self._machine, self._sandbox, expected)
        return sum(expected.values()), len(ledger["usages"]), ledger["requests"]
