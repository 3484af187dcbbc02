#!/usr/bin/python3
"""The promise, for real: many events over all inputs while the upstream misbehaves and the daemon is killed, at random
moments and at chosen system calls.

Acknowledged as committed: the sandbox's ledger equals what was acknowledged, exactly, per subscription, item price and
day. Otherwise: at most what a kill could take within the declared loss window is missing, and nothing is billed that
was not sent. The device's own books agree with the sandbox's, key by key, and `meterctl verify` with both.

The seed fixes the kills, the batches and the faults; threads and processes still race, so a replay is the same plan
and not the same interleaving.
"""

import pathlib
import sys
from decimal import Decimal

import loss
import lossy_producers
import producers
import verdict
from kill_run import COMMIT_INTERVAL_SECONDS, DRAIN_SECONDS, KillRun, parse_arguments, run_to_the_verdict

SPAN_SECONDS = 75  # the time over which 50,000 events and 20 kills spread
KILL_SECONDS = 0.9  # and how much longer it is for each kill more
FAULTS = {
    "rate": 0.2,
    "kinds": ["all", "-error_429_bare", "-lock_timeout"],
    "retry_after": "1",
    "delay_seconds": 0.05,
}
LINK = "lo"
FINAL_EVENTS = 250


def link_bytes():
    folder = pathlib.Path("/sys/class/net") / LINK / "statistics"
    return sum(int((folder / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


class Run(KillRun):
    PHASES = ("produce_and_kill", "stop_politely", "drain")

    def __init__(self, options, directory):
        share = options.events / 50_000
        span = max(10.0, SPAN_SECONDS * min(1, options.kills / 20)) + max(0, options.kills - 20) * KILL_SECONDS
        super().__init__(options, directory, span)
        self.sequenced = self.make(producers.Sequenced, "sequenced", int(14_000 * share))
        self.identified = self.make(producers.Identified, "identified", int(12_000 * share))
        self.again = self.make_again(self.identified)
        self.received = self.make(lossy_producers.Received, "received", int(8_000 * share))
        self.unix = self.make(lossy_producers.StatsdUnix, "statsd-unix", int(8_000 * share))
        self.udp = self.make(lossy_producers.StatsdUdp, "statsd-udp", int(7_700 * share))
        self.reporter = self.make(producers.Reporter, "reporter", int(300 * share))

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
        self.start()
        self.commit("final.count", "sub_a")  # a commit has also read the counter, for the first time or again
        self.link_surely_from = link_bytes()
        self.kill_while_they_report()

    def stop_politely(self):
        """SIGTERM right after `received` acknowledgements: nothing of them may be lost."""
        link_surely_to = link_bytes()
        self.commit("final.count", "sub_a", FINAL_EVENTS, level=1)
        self.terminate()
        self.link_after = link_bytes()
        self.link_surely = link_surely_to - self.link_surely_from

    def drain(self):
        """Without the link as a source: what is sent to the sandbox over it would be counted, for ever."""
        self.sandbox.set_faults(None)
        self.write_config(link=False)
        self.start()
        self.device.drain(DRAIN_SECONDS)
        self.verify()
        self.balances = self.device.balances()
        self.terminate()

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
    return verdict.Exact(own[0].name, own[0].item_price, producers.totals_of(own))


def main():
    options = parse_arguments(__doc__, events=50_000, kills=20)
    verdict.self_test()
    return run_to_the_verdict(Run, options)


if __name__ == "__main__":
    sys.exit(main())
