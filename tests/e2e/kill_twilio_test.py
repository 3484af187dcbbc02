#!/usr/bin/python3
"""The promise where nothing can be asked twice: Twilio's V1 and Preview as upstreams of one device, both misbehaving,
and the daemon is killed, at random moments and at chosen system calls.

Each event counts for both upstreams: as money with a carry and many items a request, and as units. With in_doubt =
"hold" nothing is charged twice, and what is not charged is held in doubt, to the last digit. Then an operator resolves
each usage in doubt by what the sandbox's ledger says, while the daemon is killed again, and at the end everything that
was acknowledged is charged exactly once.

`--control resend` and `--control assume-delivered` run with the policies that decide without a look. They pass only if
the verdict says what each does: a charge that came twice, and what is booked as delivered and was never charged.
"""

import datetime
import re
import sys
from decimal import Decimal

import charges
import producers
import twilio
import verdict
from harness import Failed
from kills import SENDING
from kill_run import DRAIN_SECONDS, KillRun, Plan, parse_arguments, run_to_the_verdict

SPAN_SECONDS = 1.4  # for each kill
PRICE, DECIMALS, BATCH = Decimal("0.0075"), 6, 20
FAULTS = {"rate": 0.25, "kinds": ["all", "-error_429_bare"], "retry_after": "1", "delay_seconds": 0.05}
MARKETPLACE, OLD = "marketplace", "old-marketplace"
KILL_EVERY = 12  # usages that an operator resolves
# What the verdict must name under a policy other than hold.
CONTROLS = {
    "resend": re.compile(r": \S+ was charged \d+ times$"),
    "assume-delivered": re.compile(r", in doubt and not applied 0: \d\S* is nowhere$"),
}


class TwilioPlan(Plan):
    """Quantities that make each amount of a series its own (see charges.py), and all of at most 15 digits."""

    SUBSCRIPTIONS = (twilio.installation("a"), twilio.installation("b"))
    NUMBERS = {"sequenced": 1, "identified": 2, "reporter": 3}

    def item_price(self, name):
        return twilio.billing_sid(self.NUMBERS[name])

    def quantity(self, chance):
        return f"{chance.randint(1, 10**7)}.{chance.randint(1, 10**6):06}"


def units(item_price):
    """The item price that the same event has at the older API, which is told none."""
    return item_price.replace("BI", "units-")


def utc_day(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d")


class Run(KillRun):
    PHASES = ("produce_and_kill", "stop_politely", "settle", "resolve")

    def __init__(self, options, directory):
        super().__init__(options, directory, max(10.0, options.kills * SPAN_SECONDS), TwilioPlan, SENDING)
        share = options.events / 8_000
        self.sequenced = self.make(producers.Sequenced, "sequenced", int(4_000 * share))
        self.identified = self.make(producers.Identified, "identified", int(3_800 * share))
        self.again = self.make_again(self.identified)
        self.reporter = self.make(producers.Reporter, "reporter", int(200 * share))

    def write_config(self):
        device, port = self.device, self.sandbox.port
        token = twilio.write_token(device.directory)
        own = {"seal": '"1s"', "in_doubt": f'"{self.options.in_doubt}"'}
        text = device.config(())
        text += twilio.upstream(MARKETPLACE, twilio.V1, port, token, batch=BATCH, decimals=DECIMALS, **own)
        text += twilio.upstream(OLD, twilio.PREVIEW, port, token, **own)
        for event, sid in {producer.event: producer.item_price for producer in self.all}.items():
            text += twilio.meter(event, sid, MARKETPLACE, PRICE) + twilio.meter(event, units(sid), OLD)
        device.config_file.write_text(text)

    def kill_moments(self):
        return self.kill_moments_anywhere(aimed=0.8)  # what is to be hit is a request on its way

    # The phases.

    def produce_and_kill(self):
        self.sandbox.set_faults(FAULTS | {"seed": self.options.seed})
        self.write_config()
        self.start()
        self.kill_while_they_report()

    def stop_politely(self):
        self.terminate()

    def settle(self):
        """Nothing is wrong any more: all is sent but what is in doubt, which stays so."""
        self.sandbox.set_faults(None)
        self.start()
        self.device.drain(DRAIN_SECONDS, but=("in_doubt",))
        self.verify()
        self.held, self.problems = self.in_doubt(), {}
        self.compare("held", self.held)

    def resolve(self):
        """An operator decides of each by the vendor's truth, and once more of what a kill caught as it was sent again.
        What was decided outlives every kill."""
        self.resolved = 0
        while doubts := self.in_doubt():
            charged, _ = charges.charged_once(self.sandbox.ledger()["charges"])
            may_kill = self.resolved == 0
            for doubt in doubts:
                answer = "--delivered" if charges.is_charged(doubt, charged) else "--not-delivered"
                code, text = self.device.ctl("resolve", doubt.id, answer, "--reason", "the vendor's console says so")
                if code != 0:
                    raise Failed(f"resolve {doubt.id} {answer} ended with {code}: {text}")
                self.resolved += 1
                if may_kill and self.resolved % KILL_EVERY == 0:
                    self.killer.kill(aimed=False)
            self.device.drain(DRAIN_SECONDS, but=("in_doubt",))
        self.verify()
        self.compare("end", ())
        self.terminate()

    # The judgement.

    def in_doubt(self):
        outbox = self.device.get("/operator/outbox")
        if outbox["truncated"]:
            raise Failed("more is in doubt than one answer tells: take fewer kills")
        return charges.doubts_of(outbox["outbox"], utc_day)

    def acknowledged(self):
        """{(subscription, item price, day): Decimal}: each event counts for both upstreams."""
        totals = producers.totals_of(self.all)
        older = {(subscription, units(sid), day): total for (subscription, sid, day), total in totals.items()}
        return totals | older

    def wanted(self):
        """{series: due}: money by billing sid, units without one."""
        sums = {}
        for (subscription, item_price, _), total in self.acknowledged().items():
            series = charges.series_of_item(subscription, item_price)
            sums[series] = verdict.EXACT.add(sums.get(series, Decimal(0)), total)
        return {series: charges.due(total, PRICE, DECIMALS) if series[1] else total for series, total in sums.items()}

    def compare(self, when, doubts):
        charged = self.sandbox.ledger()["charges"]
        self.problems[f"{when}: charges"] = charges.compare_series(self.wanted(), charged, doubts)
        self.problems[f"{when}: books"] = charges.compare_books(self.device.balances(), self.acknowledged(), doubts)
        if when == "held":
            self.applied = sum(charges.is_charged(doubt, charges.charged_once(charged)[0]) for doubt in doubts)

    def judge(self):
        self.print_table()
        problems = [f"{name}: {line}" for name, lines in self.problems.items() for line in lines]
        if self.options.in_doubt == "hold" and not 0 < self.applied < len(self.held):
            problems.append(f"{len(self.held)} usages were in doubt, {self.applied} of them charged: both kinds must be there")
        return problems

    def print_table(self):
        row = "{:12} {:>7} {:>12} {:>10}".format
        print(row("class", "sent", "acknowledged", "duplicates"))
        for producer in self.all:
            print(row(producer.name, producer.sent, producer.acknowledged, producer.duplicates))
        ledger = self.sandbox.ledger()
        row = "{:40} {:34} {:>24} {:>7}".format
        print(row("installation", "sid", "charged", "charges"))
        for total in ledger["charge_totals"]:
            print(row(total["installation"], total["sid"] or "(units)", total["quantity"], total["charges"]))

    def print_summary(self):
        ledger = self.sandbox.ledger()
        self.killer.print_table()
        faults = f"{sum(ledger['faults'].values())} faults of {len(ledger['faults'])} kinds"
        print(f"{len(ledger['charges'])} charges, {ledger['requests']} requests, {faults}")
        print(f"{len(self.held)} usages in doubt, {self.applied} of them charged; {self.resolved} resolved")


class Control(Run):
    """The verdict itself is judged: it must name what the policy did to the charges, while the device's own books, which
    believe the policy, are in order."""

    def judge(self):
        found = super().judge()
        named = [line for line in found if CONTROLS[self.options.control].search(line)]
        print(f"control {self.options.control}: the verdict has {len(found)} lines, {len(named)} of them name it")
        print("\n".join(named))
        problems = [line for line in found if "books: " in line]
        if not named:
            problems += [f"the verdict does not name what {self.options.control} must do:", *found]
        return problems


def main():
    more = [("in-doubt", "hold", "the upstreams' policy; the verdict fails with any other"),
            ("control", "", f"passes if the verdict fails as it must with this policy: {' or '.join(CONTROLS)}")]
    options = parse_arguments(__doc__, events=8_000, kills=20, more=more)
    if options.control and options.control not in CONTROLS:
        sys.exit(f"--control is {' or '.join(CONTROLS)}")
    verdict.self_test()
    charges.self_test()
    if not options.control:
        return run_to_the_verdict(Run, options)
    options.in_doubt = options.control
    return run_to_the_verdict(Control, options)


if __name__ == "__main__":
    sys.exit(main())
