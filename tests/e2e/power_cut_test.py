#!/usr/bin/python3
"""Power cuts on a real file system: meterd's journal is on an ext4 of its own, which is shut down under load as the
power would be (volume.py), while producers wait for their commits and usages are delivered.

After each cut meterd starts on what is left: all that was acknowledged is there, its check of every record finds
nothing, and at the end each usage is billed once and the sums are what was acknowledged, exactly. Whoever was not
answered, or missed the answer, repeats. When it is cut is drawn from the seed, as a number of acknowledgements; threads
and processes still race, so a replay is the same plan and not the same interleaving.

With --device-cache it is the disk that goes, with what is in its write cache. At the end comes the control, in which
acknowledged events must be found to be lost: meterd without any sync (libeatmydata), or a disk that says it flushed.
"""

import argparse
import collections
import datetime
import http.client
import json
import os
import pathlib
import random
import shlex
import shutil
import sys
import tempfile
import threading
import time
from decimal import Decimal

import producers
import verdict
import volume
from frames import compile_messages
from harness import Device, Failed, Sandbox, wait_until

EXIT_JOURNAL = 3
ACKNOWLEDGEMENTS_MAX = 40  # of batches, until a cut
ACKNOWLEDGEMENTS_SECONDS = 60
AT_THE_START = 0.2  # of the cuts are preceded by two more, of which one is while meterd starts
LOOKS_MAX = 4_000  # at a directory entry, some 10 microseconds each, until that
HEALTHY_SECONDS = 30
DRAIN_SECONDS = 120
SEAL = "1s"
FAULTS = {"rate": 0.1, "kinds": ["all", "-error_429_bare", "-lock_timeout"], "retry_after": "1", "delay_seconds": 0.05}
CONTROL_LIBRARY = "libeatmydata.so"
CONTROL_CUTS = 5
REPEAT_SECONDS = 0.01
NOT_ANSWERED = (OSError, http.client.HTTPException)
MISSED = 0.02  # of the answers are not read before the next cut


class Lossy(Failed):
    """The journal broke its promise."""


class Plan:
    """What the producers share."""

    SUBSCRIPTIONS = producers.SUBSCRIPTIONS

    def __init__(self, seed, messages):
        self.seed, self.messages = seed, messages
        self.moment = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        self.ending = threading.Event()  # nothing new is reported any more
        self.over = threading.Event()
        self._answers, self._cuts, self._changed = 0, 0, threading.Condition()
        self._deaf = threading.Lock()

    def item_price(self, name):
        return f"{name}-usd"

    def quantity(self, chance):
        return chance.choice(producers.QUANTITIES)

    def note_answer(self):
        with self._changed:
            self._answers += 1
            self._changed.notify_all()

    def note_cut(self):
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def misses_an_answer(self, chance):
        """True, and then only after the next cut: the producer takes what was answered meanwhile as not answered. One
        of them at a time, since cuts wait for answers."""
        if chance.random() >= MISSED or not self._deaf.acquire(blocking=False):
            return False
        with self._changed:
            cuts = self._cuts
            self._changed.wait_for(lambda: self._cuts > cuts or self.ending.is_set(), ACKNOWLEDGEMENTS_SECONDS)
        self._deaf.release()
        return True

    def end(self):
        with self._changed:
            self.ending.set()
            self._changed.notify_all()

    def wait_for_answers(self, more):
        """So many more acknowledgements, or the end of a producer."""
        with self._changed:
            wanted = self._answers + more
            if not self._changed.wait_for(lambda: self._answers >= wanted or self.over.is_set(),
                                          ACKNOWLEDGEMENTS_SECONDS):
                raise Failed(f"no {more} acknowledgements within {ACKNOWLEDGEMENTS_SECONDS} s")


class Sequenced(producers.Sequenced):
    """Numbered batches over the framed socket, several at a time, as fast as they are acknowledged."""

    def goes_on(self, waiting):
        return waiting or not self.plan.ending.is_set()

    def converse(self, connection, waiting):
        for batch, _ in waiting:
            connection.send(batch)
        while True:
            while len(waiting) < self.IN_FLIGHT and not self.plan.ending.is_set():
                waiting.append(self.next_batch())
                connection.send(waiting[-1][0])
            if not waiting or self.plan.misses_an_answer(self.random):
                return
            self.take(connection.receive(), *waiting[0])
            waiting.popleft()
            self.plan.note_answer()
            self.pause(0)


class Posted(producers.Producer):
    """CloudEvents with ids to POST /events, the same body until it is answered with 200."""

    DAYS_BACK = (0, 0, 1, 5)

    def produce(self):
        while not self.plan.ending.is_set():
            size = self.random.randint(1, 20)
            booking, body = zip(*(self.event_of(self.sent + i) for i in range(size)))
            self.sent += size
            answer = self.post(json.dumps(body))
            if self.plan.misses_an_answer(self.random):
                answer = self.post(json.dumps(body))
            if answer["errors"] or answer["counted"] + answer["duplicates"] != size:
                raise AssertionError(f"unexpected answer {answer}")
            self.acknowledged += size
            self.duplicates += answer["duplicates"]
            for one in booking:
                self.book(*one)
            self.plan.note_answer()

    def event_of(self, number):
        """(booking, CloudEvent)"""
        event = self.plan.messages.Event()
        booking = self.fill(event, number)
        moment = datetime.datetime.fromtimestamp(event.time_ms / 1000, datetime.timezone.utc)
        data = {"data": {"quantity": event.quantity}} if event.quantity else {}
        return booking, {"specversion": "1.0", "type": event.name, "source": "power-cut", "id": str(number),
                         "subscription": event.subscription, "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), **data}

    def post(self, body):
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        deadline = time.monotonic() + producers.GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            try:
                status, text = self.device.request("POST", "/events", body, headers, timeout=10)
                if status == 200:
                    return json.loads(text)
                if status != 503:
                    raise AssertionError(f"POST /events: {status} {text!r}")
            except NOT_ANSWERED:
                pass
            self.pause(REPEAT_SECONDS)
        raise AssertionError(f"not acknowledged within {producers.GIVE_UP_SECONDS} s")


class Run:
    def __init__(self, options, directory, cuts, control):
        self.options, self.cuts = options, cuts
        self.random = random.Random(f"{options.seed}/cuts")
        self.device = Device(options.meterd, options.meterctl, directory)
        if options.device_cache:
            self.volume = volume.CachedVolume(directory, lies=control)
        else:
            self.volume = volume.Volume(directory)
            if control:
                self.device.environment = dict(os.environ, LD_PRELOAD=CONTROL_LIBRARY)
        self.device.journal = self.volume.place / "journal"
        self.sandbox = Sandbox(options.sandbox, directory)
        self.plan = Plan(options.seed, compile_messages(directory))
        self.all = [Sequenced("sequenced", self.device, 1 << 60, self.plan),
                    Posted("posted", self.device, 1 << 60, self.plan)]
        self.cuts_at_starts = 0

    def run(self):
        self.sandbox.set_faults(FAULTS | {"seed": self.options.seed})
        meters = [(producer.event, producer.item_price) for producer in self.all]
        self.device.write_config(meters, self.sandbox.port, commit_interval="50ms", seal=SEAL)
        for producer in self.all:
            producer.start()
        self.start()
        for number in range(1, self.cuts + 1):
            try:
                self.cut()
            except Lossy as lossy:
                raise Lossy(f"cut {number}: {lossy}") from None
        self.plan.end()
        self.join()
        self.sandbox.set_faults(None)
        self.device.drain(DRAIN_SECONDS)
        self.verify()

    def cut(self):
        if self.random.random() < AT_THE_START:
            self.cut_the_start()
        self.plan.wait_for_answers(self.random.randint(1, ACKNOWLEDGEMENTS_MAX))
        self.check_producers()
        self.power_cycle()
        self.start()

    def cut_the_start(self):
        """It follows a cut, so that it may have something to make good."""
        self.power_cycle()
        self.device.spawn()
        for _ in range(self.random.randint(0, LOOKS_MAX)):
            if self.device.api.exists():
                break
        self.power_cycle()
        self.cuts_at_starts += 1
        self.start()

    def power_cycle(self):
        self.volume.cut()
        self.device.kill()
        self.plan.note_cut()
        self.device.api.unlink(missing_ok=True)
        self.volume.unmount()
        self.volume.mount()

    def start(self):
        """All that was acknowledged before is there then; if a little is lost, what is reported meanwhile may hide it
        here, and the verdict at the end finds it."""
        before = {producer.item_price: verdict.exact_sum(list(producer.totals.values())) for producer in self.all}
        self.device.spawn()
        wait_until("GET /healthz answers 200", self.healthy, HEALTHY_SECONDS, every=0.003)
        counted = collections.defaultdict(Decimal)
        for (_, item_price, _), row in self.device.balances().items():
            counted[item_price] = verdict.EXACT.add(counted[item_price], Decimal(row["accepted"]))
        for item_price, quantity in before.items():
            if counted[item_price] < quantity:
                raise Lossy(f"{item_price}: {quantity} were acknowledged, {counted[item_price]} are there")
        self.verify()

    def healthy(self):
        code = self.device.process.poll()
        if code is not None:
            kind = Lossy if code == EXIT_JOURNAL else Failed
            raise kind(f"meterd ended with {code} at its start\n{self.device.log_tail(5)}")
        try:
            return self.device.get("/healthz", timeout=2) is not None
        except NOT_ANSWERED:
            return False

    def verify(self):
        code, text = self.device.ctl("verify")
        if code != 0:
            raise Lossy(f"meterctl verify ended with {code}: {text}")

    def check_producers(self):
        for producer in self.all:
            if producer.error:
                raise Failed(f"producer {producer.name}:\n{producer.error}")

    def join(self):
        for producer in self.all:
            producer.join(producers.GIVE_UP_SECONDS)
        self.check_producers()
        late = [producer.name for producer in self.all if producer.is_alive()]
        if late:
            raise Failed(f"not everything was acknowledged in time: {', '.join(late)}")

    def judge(self):
        billed = verdict.billed_totals(self.sandbox.ledger())
        claims = [verdict.Exact(one.name, one.item_price, producers.totals_of([one])) for one in self.all]
        problems = verdict.compare(claims, billed)
        problems["books"] = verdict.compare_balances(self.device.balances(), billed)
        problems["ids"] = verdict.created_twice(self.sandbox.created_ids())
        return [f"{name}: {line}" for name, lines in problems.items() for line in lines]

    def summary(self):
        ledger = self.sandbox.ledger()
        for one in self.all:
            print(f"{one.name}: {one.acknowledged} events acknowledged, {one.duplicates} repeated and known")
        under_load = self.cuts + self.cuts_at_starts
        print(f"{under_load + self.cuts_at_starts} cuts: {under_load} under load, {self.cuts_at_starts} while it started")
        print(f"{len(ledger['usages'])} usages, {ledger['requests']} requests, {ledger['replays']} replays")

    def stop(self):
        self.plan.end()
        self.plan.over.set()
        self.device.stop()
        self.volume.unmount()
        self.sandbox.stop()


def found_in(options, cuts, control=False):
    """(what is wrong, whether the journal broke its promise)"""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-power-"))
    run, problems, lossy = None, [], False
    try:
        run = Run(options, directory, cuts, control)
        run.run()
        problems = run.judge()
        run.summary()
    except Failed as failed:
        problems, lossy = [str(failed)], isinstance(failed, Lossy)
    finally:
        if run:
            run.stop()
        if control or not problems and not options.keep and sys.exc_info()[0] is None:
            shutil.rmtree(directory)
    if problems and not control:
        problems.append(f"files are kept in {directory}")
    return problems, lossy


def judge_the_control(options):
    problems, lossy = found_in(options, CONTROL_CUTS, control=True)
    print("the control: " + "\n".join(problems))
    return [] if lossy else ["the control was not found out"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("meterd", "meterctl", "sandbox"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path, help=f"the {name} to test with")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--device-cache", action="store_true", help="cut the power of a disk with a write cache")
    parser.add_argument("--keep", action="store_true", help="keep the temp directory, as after a failure")
    options = parser.parse_args()
    volume.enter()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    problems, _ = found_in(options, options.cuts)
    print(f"{time.monotonic() - began:.1f} s", flush=True)
    problems += judge_the_control(options)
    if not problems:
        return 0
    again = [sys.executable, *sys.argv] + ([] if "--seed" in sys.argv else ["--seed", str(options.seed)])
    print("FAILED\n" + "\n".join(problems))
    print(f"replay: {shlex.join(again)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
