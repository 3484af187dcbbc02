#!/usr/bin/python3
"""The promise, for real: many events over all inputs while the upstream misbehaves and the daemon is killed, at random
moments and at chosen system calls.

Acknowledged as committed: the sandbox's ledger equals what was acknowledged, exactly, per subscription, item price and
day. Otherwise: at most what a kill could take within the declared loss window is missing, and nothing is billed that
was not sent. The device's own books agree with the sandbox's, key by key, and `meterctl verify` with both.

The seed fixes the kills, the batches and the faults; threads and processes still race, so a replay is the same plan
and not the same interleaving.
"""

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
from decimal import Decimal

import loss
import lossy_producers
import producers
import verdict
from frames import FramedConnection, compile_messages
from harness import Device, Failed, Sandbox
from kills import Killer

COMMIT_INTERVAL_SECONDS = 0.2
SPAN_SECONDS = 75  # the time over which 50,000 events and 20 kills spread
KILL_SECONDS = 0.9  # and how much longer it is for each kill more
PRODUCER_SECONDS = 120  # beyond the span: how long a producer may take to have everything acknowledged
DRAIN_SECONDS = 60
FAULTS = {
    "rate": 0.2,
    "kinds": ["all", "-error_429_bare", "-lock_timeout"],
    "retry_after": "1",
    "delay_seconds": 0.05,
}
LINK = "lo"
FINAL_EVENTS = 250


class Plan:
    """What the producers share."""

    def __init__(self, seed, span, messages):
        self.seed, self.span, self.messages = seed, span, messages
        self.began = time.monotonic()
        self.moment = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        self.over = threading.Event()


def link_bytes():
    folder = pathlib.Path("/sys/class/net") / LINK / "statistics"
    return sum(int((folder / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


class Run:
    def __init__(self, options, directory):
        self.options = options
        self.sandbox = Sandbox(options.sandbox, directory)
        self.device = Device(options.meterd, options.meterctl, directory)
        self.messages = compile_messages(directory)
        self.random = random.Random(f"{options.seed}/kills")
        share = options.events / 50_000
        span = max(10.0, SPAN_SECONDS * min(1, options.kills / 20)) + max(0, options.kills - 20) * KILL_SECONDS
        plan = self.plan = Plan(options.seed, span, self.messages)
        self.killer = Killer(self.device, plan.over, self.random)

        def make(kind, name, events):
            return kind(name, self.device, int(events * share), plan)

        self.sequenced = make(producers.Sequenced, "sequenced", 14_000)
        self.identified = make(producers.Identified, "identified", 12_000)
        self.again = producers.Identified("identified", self.device, self.identified.events, plan, self.identified)
        self.received = make(lossy_producers.Received, "received", 8_000)
        self.unix = make(lossy_producers.StatsdUnix, "statsd-unix", 8_000)
        self.udp = make(lossy_producers.StatsdUdp, "statsd-udp", 7_700)
        self.reporter = make(producers.Reporter, "reporter", 300)
        self.all = [self.sequenced, self.identified, self.again, self.received, self.unix, self.udp, self.reporter]

    def write_config(self, link):
        named = {producer.event: producer.item_price for producer in self.all}
        meters = [*named.items(), ("final.count", "final-usd"), ("link.bytes", "link-usd")]
        source = f'[[source]]\nkind = "interface"\nname = "{LINK}"\nevent = "link.bytes"\nsubscription = "sub_a"\n'
        self.device.write_config(meters, self.sandbox.port, source if link else "")

    # The phases.

    def produce_and_kill(self):
        self.sandbox.set_faults(FAULTS | {"seed": self.options.seed})
        self.write_config(link=True)
        self.link_before = link_bytes()
        self.killer.starts.append(self.device.start())
        self.commit_one()  # a commit has also read the counter, for the first time or again
        self.link_surely_from = link_bytes()
        self.plan.began = time.monotonic()
        for producer in self.all:
            producer.start()
        for moment, aimed in self.kill_moments():
            if self.plan.over.wait(max(0.0, self.plan.began + moment - time.monotonic())):
                break
            self.killer.kill(aimed)
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

    def commit_one(self, events=1, level=0):
        """Events of the class `final`, one batch, acknowledged."""
        connection = FramedConnection(self.device.ingest, self.messages)
        batch = self.messages.Batch(ack=level)
        for _ in range(events):
            batch.events.add(name="final.count", subscription="sub_a", time_ms=int(self.plan.moment.timestamp() * 1000))
        ack = connection.ask(batch)
        connection.close()
        if ack.counted != events:
            raise Failed(f"unexpected answer {ack}")

    def stop_politely(self):
        """SIGTERM right after `received` acknowledgements: nothing of them may be lost."""
        link_surely_to = link_bytes()
        self.commit_one(FINAL_EVENTS, level=1)
        code = self.device.terminate()
        if code != 0:
            raise Failed(f"SIGTERM ended meterd with {code}\n{self.device.log_tail()}")
        self.link_after = link_bytes()
        self.link_surely = link_surely_to - self.link_surely_from

    def drain(self):
        """Without the link as a source: what is sent to the sandbox over it would be counted, for ever."""
        self.sandbox.set_faults(None)
        self.write_config(link=False)
        self.killer.starts.append(self.device.start())
        self.device.drain(DRAIN_SECONDS)
        code, text = self.device.ctl("verify")
        if code != 0:
            raise Failed(f"meterctl verify ended with {code}: {text}")
        self.balances = self.device.balances()
        code = self.device.terminate()
        if code != 0:
            raise Failed(f"SIGTERM ended meterd with {code}\n{self.device.log_tail()}")

    # The judgement.

    def claims(self):
        day = self.plan.moment.strftime("%Y-%m-%d")
        final = {("sub_a", "final-usd", day): Decimal(FINAL_EVENTS + 1)}
        length = loss.unix_queue_length()
        return [
            exact_claim(self.sequenced),
            exact_claim(self.identified, self.again),
            exact_claim(self.reporter),
            verdict.Exact("final", "final-usd", final),
            self.lossy(self.received, lambda kill: kill.dead, lambda kill: 0),
            self.lossy(self.unix, lambda kill: kill.dead, lambda kill: length),
            self.lossy(self.udp, lambda kill: kill.ready, lambda kill: kill.udp_queued + kill.udp_dropped),
            verdict.Between("link", "link-usd", Decimal(self.link_surely), Decimal(self.link_after - self.link_before)),
        ]

    def lossy(self, producer, until, queued):
        reach = COMMIT_INTERVAL_SECONDS + 2 * self.round_trip()
        risk = loss.at_risk(producer.records, self.killer.kills, reach, until, queued)
        sent = dict.fromkeys(producers.SUBSCRIPTIONS, 0)
        for record in producer.records:
            sent[record.subscription] += record.events
        return verdict.Lossy(producer.name, producer.item_price, Decimal(producer.UNIT), sent, risk)

    def round_trip(self):
        return max(self.identified.round_trip, self.again.round_trip)

    def judge(self):
        billed = verdict.billed_totals(self.sandbox.ledger())
        claims = self.claims()
        problems = verdict.compare(claims, billed)
        problems["books"] = verdict.compare_balances(self.balances, billed)
        problems["ids"] = verdict.created_twice(self.sandbox.created_ids())
        self.print_table(claims, billed, problems)
        return [f"{name}: {line}" for name, lines in problems.items() for line in lines]

    def print_table(self, claims, billed, problems):
        row = "{:12} {:>7} {:>12} {:>32} {:>10}  {}".format
        print(row("class", "sent", "acknowledged", "billed", "duplicates", "verdict"))
        for claim in claims:
            own = [producer for producer in self.all if producer.item_price == claim.item_price]
            total = verdict.exact_sum(value for key, value in billed.items() if key[1] == claim.item_price)
            good, acknowledged = "exact", sum(producer.acknowledged for producer in own)
            if isinstance(claim, verdict.Lossy):
                missing = sum(claim.sent.values()) - int(total / claim.unit)
                good = f"{missing} lost of {sum(claim.at_risk.values())} at risk"
            elif isinstance(claim, verdict.Between):
                good = f"between {claim.least} and {claim.most}"
            sent = max((producer.sent for producer in own), default="")
            answer = "WRONG" if problems[claim.name] else good
            duplicates = sum(producer.duplicates for producer in own)
            print(row(claim.name, sent, acknowledged or "", f"{total:f}", duplicates or "", answer))

    def print_summary(self):
        ledger = self.sandbox.ledger()
        faults = sum(ledger["faults"].values())
        self.killer.print_table()
        counts = f"{len(ledger['usages'])} usages, {ledger['requests']} requests, {ledger['replays']} replays"
        print(f"{counts}, {faults} faults")
        print(f"loss window {COMMIT_INTERVAL_SECONDS} s, longest committed round trip {self.round_trip():.3f} s")


def exact_claim(*own):
    totals = {}
    for producer in own:
        for key, value in producer.totals.items():
            totals[key] = verdict.EXACT.add(totals.get(key, Decimal(0)), value)
    return verdict.Exact(own[0].name, own[0].item_price, totals)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("meterd", "meterctl", "sandbox"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path, help=f"the {name} to test with")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--keep", action="store_true", help="keep the temp directory, as after a failure")
    return parser.parse_args()


def main():
    options = parse_arguments()
    verdict.self_test()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-kill-"))
    run, problems = None, []
    try:
        run = Run(options, directory)
        for phase in (run.produce_and_kill, run.stop_politely, run.drain):
            phase()
            print(f"{time.monotonic() - began:6.1f} s  {phase.__name__} done", flush=True)
        problems = run.judge()
        run.print_summary()
    except Failed as failure:
        problems = [str(failure)]
    finally:
        if run:
            run.plan.over.set()
            run.device.stop()
            run.sandbox.stop()
        if not problems and not options.keep and sys.exc_info()[0] is None:
            shutil.rmtree(directory)
    if not problems:
        return 0
    again = [sys.executable, *sys.argv] + ([] if "--seed" in sys.argv else ["--seed", str(options.seed)])
    print("\nFAILED\n" + "\n".join(problems))
    print(f"files are kept in {directory}\nreplay: {shlex.join(again)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
