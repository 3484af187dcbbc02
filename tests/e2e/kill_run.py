"""What the kill tests share: who reports while the daemon is killed, and the run from its seed to its verdict."""

import argparse
import datetime
import pathlib
import random
import shlex
import shutil
import sys
import tempfile
import threading
import time

import producers
from frames import FramedConnection, compile_messages
from harness import Device, Failed, Sandbox
from kills import RUNNING, Killer

COMMIT_INTERVAL_SECONDS = 0.2
PRODUCER_SECONDS = 120  # beyond the span: how long a producer may take to have everything acknowledged
DRAIN_SECONDS = 60


class Plan:
    """What the producers share."""

    SUBSCRIPTIONS = producers.SUBSCRIPTIONS

    def __init__(self, seed, span, messages):
        self.seed, self.span, self.messages = seed, span, messages
        self.began = time.monotonic()
        self.moment = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        self.killed = threading.Event()  # there will be no kill any more
        self.over = threading.Event()

    def item_price(self, name):
        return f"{name}-usd"

    def quantity(self, chance):
        return chance.choice(producers.QUANTITIES)


class KillRun:
    """A run has PHASES, one after the other, and then judge() gives the problems that it found."""

    PHASES = ()

    def __init__(self, options, directory, span, plan=Plan, calls=RUNNING):
        self.options = options
        self.sandbox = Sandbox(options.sandbox, directory)
        self.device = Device(options.meterd, options.meterctl, directory)
        self.messages = compile_messages(directory)
        self.random = random.Random(f"{options.seed}/kills")
        self.plan = plan(options.seed, span, self.messages)
        self.killer = Killer(self.device, self.plan.over, self.random, calls)
        self.all = []

    def make(self, kind, name, events):
        self.all.append(kind(name, self.device, events, self.plan))
        return self.all[-1]

    def make_again(self, first):
        """A second connection that reports the same events with ids."""
        name = first.name
        self.all.append(producers.Identified(name, self.device, first.events, self.plan, first))
        return self.all[-1]

    def start(self):
        self.killer.starts.append(self.device.start())

    def kill_while_they_report(self):
        self.plan.began = time.monotonic()
        for producer in self.all:
            producer.start()
        for moment, aimed in self.kill_moments():
            if self.plan.over.wait(max(0.0, self.plan.began + moment - time.monotonic())):
                break
            self.killer.kill(aimed)
        self.plan.killed.set()
        self.join()

    def kill_moments(self):
        """(seconds from the beginning, whether at a system call), in order. Late in a silence for one half, when what
        is not committed is as old as it may get; any moment for the other, mostly at a system call after it."""
        both = 2 * producers.ACTIVE_SECONDS
        moments = []
        for i in range(self.options.kills):
            moment = self.random.uniform(0.3, self.plan.span)
            if i % 2 == 0:
                moments.append(((moment // both + self.random.uniform(0.8, 1)) * both, False))
            else:
                moments.append((moment, self.random.random() < 0.7))
        return sorted(moments)

    def kill_moments_anywhere(self, aimed):
        """At any moment; `aimed`: how many of them are at the next system call of a kind."""
        moments = [self.random.uniform(0.3, self.plan.span) for _ in range(self.options.kills)]
        return sorted((moment, self.random.random() < aimed) for moment in moments)

    def join(self):
        deadline = self.plan.began + self.plan.span + PRODUCER_SECONDS
        for producer in self.all:
            producer.join(max(0.0, deadline - time.monotonic()))
        late = [producer.name for producer in self.all if producer.is_alive()]
        self.plan.over.set()
        for producer in self.all:
            producer.join(30)
            if producer.error:
                raise Failed(f"producer {producer.name}:\n{producer.error}")
        if late:
            raise Failed(f"not everything was acknowledged in time: {', '.join(late)}")

    def commit(self, event, subscription, events=1, level=0):
        """Events of one kind, one batch, acknowledged."""
        connection = FramedConnection(self.device.ingest, self.messages)
        batch = self.messages.Batch(ack=level)
        for _ in range(events):
            batch.events.add(name=event, subscription=subscription, time_ms=int(self.plan.moment.timestamp() * 1000))
        ack = connection.ask(batch)
        connection.close()
        if ack.counted != events:
            raise Failed(f"unexpected answer {ack}")

    def stop(self):
        """For the end, whatever happened."""
        self.plan.over.set()
        self.device.stop()
        self.sandbox.stop()

    def terminate(self):
        code = self.device.terminate()
        if code != 0:
            raise Failed(f"SIGTERM ended meterd with {code}\n{self.device.log_tail()}")

    def verify(self):
        code, text = self.device.ctl("verify")
        if code != 0:
            raise Failed(f"meterctl verify ended with {code}: {text}")

    def round_trip(self):
        """The longest of a committed batch."""
        return max(producer.round_trip for producer in self.all if isinstance(producer, producers.Identified))


def parse_arguments(description, events, kills, more=()):
    """`more`: names and defaults of further options, with what they mean."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    for name in ("meterd", "meterctl", "sandbox"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path, help=f"the {name} to test with")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--events", type=int, default=events)
    parser.add_argument("--kills", type=int, default=kills)
    parser.add_argument("--keep", action="store_true", help="keep the temp directory, as after a failure")
    for name, default, meaning in more:
        parser.add_argument(f"--{name}", default=default, help=meaning)
    return parser.parse_args()


def run_to_the_verdict(make, options):
    """The exit code; what it found is printed, with how to repeat it."""
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-kill-"))
    run, problems = None, []
    try:
        run = make(options, directory)
        for phase in run.PHASES:
            getattr(run, phase)()
            print(f"{time.monotonic() - began:6.1f} s  {phase} done", flush=True)
        problems = run.judge()
        run.print_summary()
    except Failed as failure:
        problems = [str(failure)]
    finally:
        if run:
            run.stop()
        if not problems and not options.keep and sys.exc_info()[0] is None:
            shutil.rmtree(directory)
    if not problems:
        return 0
    again = [sys.executable, *sys.argv] + ([] if "--seed" in sys.argv else ["--seed", str(options.seed)])
    print("\nFAILED\n" + "\n".join(problems))
    print(f"files are kept in {directory}\nreplay: {shlex.join(again)}")
    return 1
