#!/usr/bin/python3
"""meterd in front of meterd by Twilio's APIs: the first one's upstreams are the second one's, and both are killed.

In the first chain callers of V1 and of Preview report to the first device, which delivers by the same API; in the
second one a Preview caller is moved to V1. A call is made once: who is not answered does not know, as with the vendor,
and only then may the call be there or not, whole. What the first device holds in doubt is resolved by what the second
one lists. At the end the second one has what was acknowledged, exactly, per series.
"""

import argparse
import http.client
import itertools
import pathlib
import shutil
import sys
import tempfile
import threading
from decimal import Decimal

import charges
import twilio
from chain_test import ANSWER_SECONDS, DRAIN_SECONDS, Client, kill_in_turns, usages_of
from contract_case import FORM
from harness import Device, Failed
from verdict import EXACT, exact_sum

INSTALLATIONS = tuple(twilio.installation(letter) for letter in "ab")
PREVIEW_PRICE = "preview"  # what a device calls the item price of a Preview call
MOVED_SID, PRICE, DECIMALS = twilio.billing_sid(9), Decimal("0.0075"), 6
UNKNOWN_MAX = 16  # calls without an answer, of which each sum is tried


class Call:
    def __init__(self, installation, items):
        self.installation, self.items = installation, items  # [(item price, quantity)]


class Caller(Client):
    """Makes each call once and notes what became of it. No two quantities are the same."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.acknowledged, self.unknown, self.number = [], [], 0

    def turn(self):
        call = self.next_call()
        try:
            status, answer = self.device.request("POST", *self.request_of(call))
            if status == 202:
                self.acknowledged.append(call)
            elif status != 503:  # 503: not now, and nothing of it is kept
                raise Failed(f"{call.items} was refused: {status} {answer}")
        except (FileNotFoundError, ConnectionRefusedError):
            pass  # nobody was there: it did not leave
        except (OSError, http.client.HTTPException):
            self.unknown.append(call)
        self.over.wait(0.005)

    def quantity(self):
        self.number += 1
        return f"{self.number}.{self.random.randint(1, 99):02}"


class V1Caller(Caller):
    def next_call(self):
        sids = [twilio.billing_sid(self.random.randint(1, 3)) for _ in range(self.random.randint(1, 3))]
        items = [(sid, self.quantity()) for sid in sids]
        return Call(self.random.choice(INSTALLATIONS), items)

    def request_of(self, call):
        items = ",".join(f'{{"sid":"{sid}","quantity":{quantity}}}' for sid, quantity in call.items)
        path = f"/v1/InstalledAddOns/{call.installation}/Usage"
        return path, f'{{"billable_items":[{items}]}}', {"Content-Type": "application/json"}


class PreviewCaller(Caller):
    def next_call(self):
        sign = self.random.choice(("", "", "-"))
        return Call(self.random.choice(INSTALLATIONS), [(PREVIEW_PRICE, sign + self.quantity())])

    def request_of(self, call):
        return f"/marketplace/InstalledAddOns/{call.installation}/Usage", f"Quantity={call.items[0][1]}", FORM


class MovedCaller(PreviewCaller):
    """Charges only: V1 has no credits. The amounts that the first device makes of them are different, too."""

    def next_call(self):
        return Call(self.random.choice(INSTALLATIONS), [(MOVED_SID, self.quantity())])

    def quantity(self):
        return f"{self.random.randint(1, 10**7)}.{self.random.randint(1, 10**6):06}"


class Chain:
    """Two devices; the second one is its own ledger."""

    def __init__(self, options, directory, callers, kinds, preview_as=""):
        self.options, self.over = options, threading.Event()
        self.first = Device(options.meterd, options.meterctl, directory / "first")
        self.second = Device(options.meterd, options.meterctl, directory / "second")
        self.callers = [caller(self.first, options.seed, self.over) for caller in callers]
        token = twilio.write_token(directory)
        text = self.second.config((), device="gw-second")
        self.second.config_file.write_text(text.replace("[api]\n", "[api]\n" + twilio.served_api(token)))
        text = self.first.config((), device="gw-first").replace("[api]\n", "[api]\n" + preview_as)
        for kind in kinds:
            own = {"batch": 10, "decimals": DECIMALS} if kind == twilio.V1 else {}
            own["in_doubt"] = f'"{options.in_doubt}"'
            text += twilio.upstream(kind, kind, self.second.tcp_port, token, **own)
        self.first.config_file.write_text(text)

    def run(self):
        try:
            self.second.start()
            self.first.start()
            for caller in self.callers:
                caller.start()
            kill_in_turns(self.options, self.first, self.second, self.over, self.callers)
            self.over.set()
            for caller in self.callers:
                caller.join(ANSWER_SECONDS)
                if caller.error:
                    raise caller.error
            self.resolve()
            problems = self.problems()
            if problems:
                raise Failed("\n".join(problems))
        except Failed:
            for device in (self.first, self.second):
                print(f"== the end of {device.log_file}:\n{device.log_tail()}", file=sys.stderr)
            raise
        finally:
            self.over.set()
            self.first.stop()
            self.second.stop()

    def resolve(self):
        """By what the second one lists. Nothing is killed any more, so once is enough."""
        self.first.drain(DRAIN_SECONDS, but=("in_doubt",))
        rows = self.first.get("/operator/outbox")["outbox"]
        charged, _ = charges.charged_once(charges_of(self.second))
        self.doubts = charges.doubts_of(rows, lambda usage_date: "")
        self.applied = 0
        for doubt in self.doubts:
            applied = charges.is_charged(doubt, charged)
            self.applied += applied
            answer = "--delivered" if applied else "--not-delivered"
            code, text = self.first.ctl("resolve", doubt.id, answer, "--reason", "so says the other device's list")
            if code != 0:
                raise Failed(f"resolve {doubt.id} {answer} ended with {code}: {text}")
        self.first.drain(DRAIN_SECONDS)

    def problems(self):
        sums, problems = self.accepted()
        amounts = {key: self.amount(total) for key, total in sums.items()}
        by_series = {charges.series_of_item(*key[:2]): amount for key, amount in amounts.items()}
        problems += charges.compare_series(by_series, charges_of(self.second))
        problems += charges.compare_books(without_days(self.first), sums)
        problems += [f"at the second one: {line}" for line in charges.compare_books(without_days(self.second), amounts)]
        for device in (self.first, self.second):
            code, text = device.ctl("verify")
            if code != 0:
                problems.append(f"meterctl verify ended with {code}: {text}")
        return problems

    def calls(self, which):
        return [call for caller in self.callers for call in getattr(caller, which)]

    def accepted(self):
        """What was acknowledged, and those calls without an answer of which the second one has an item."""
        charged, _ = charges.charged_once(charges_of(self.second))
        calls, problems = self.calls("acknowledged"), []
        for call in self.calls("unknown"):
            there = [Decimal(quantity) in charged.get(charges.series_of_item(call.installation, item_price), ())
                     for item_price, quantity in call.items]
            if any(there) != all(there):
                problems.append(f"{call.installation}: of {call.items} only a part was taken")
            calls += [call] if any(there) else []
        return sums_of(calls), problems

    def amount(self, total):
        return total


class MovedChain(Chain):
    """Units at the first one, money at the second one."""

    def __init__(self, options, directory):
        preview_as = f'preview_as = {{ item_price = "{MOVED_SID}", unit_price = "{PRICE}" }}\n'
        super().__init__(options, directory, (MovedCaller,), (twilio.V1,), preview_as)

    def accepted(self):
        """The first one's own sums say which calls without an answer it took: they must be the sum of some."""
        sums, problems = sums_of(self.calls("acknowledged")), []
        unknown = self.calls("unknown")
        if len(unknown) > UNKNOWN_MAX:
            raise Failed(f"{len(unknown)} calls have no answer: take fewer kills")
        for key, row in without_days(self.first).items():
            more = EXACT.subtract(Decimal(row["accepted"]), sums.get(key, Decimal(0)))
            own = [Decimal(call.items[0][1]) for call in unknown if call.installation == key[0]]
            if not any(exact_sum(some) == more for some in subsets(own)):
                problems.append(f"{key}: {more} was taken beyond what was acknowledged, and no call was of it")
            sums[key] = Decimal(row["accepted"])
        return sums, problems

    def amount(self, total):
        return charges.due(total, PRICE, DECIMALS)


def subsets(values):
    return itertools.chain.from_iterable(itertools.combinations(values, size) for size in range(len(values) + 1))


def sums_of(calls):
    sums = {}
    for call in calls:
        for item_price, quantity in call.items:
            key = (call.installation, item_price, "")
            sums[key] = EXACT.add(sums.get(key, Decimal(0)), Decimal(quantity))
    return sums


def without_days(device):
    """The device's balances by (subscription, item price, ""): a call's day is that of its arrival."""
    out = {}
    for (subscription, item_price, _), row in device.balances().items():
        sums = out.setdefault((subscription, item_price, ""), dict.fromkeys(("accepted", "delivered", "in_doubt"), "0"))
        for name, value in sums.items():
            sums[name] = str(EXACT.add(Decimal(value), Decimal(row[name])))
    return out


def charges_of(device):
    """What the device lists, as the vendor's ledger would tell it."""
    out = []
    for subscription, item_price, _, quantity in usages_of(device).values():
        installation, sid = charges.series_of_item(subscription, item_price)
        out.append({"installation": installation, "sid": sid, "quantity": quantity})
    return out


def direct_chain(options, directory):
    return Chain(options, directory, (V1Caller, PreviewCaller), (twilio.V1, twilio.PREVIEW))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meterd", type=pathlib.Path, required=True)
    parser.add_argument("--meterctl", type=pathlib.Path, required=True)
    parser.add_argument("--sandbox", type=pathlib.Path, help="not used: meterd is the upstream")
    parser.add_argument("--kills", type=int, default=6, help="of each of the two, in each chain")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--in-doubt", default="hold", help="resend is a control, which must fail")
    options = parser.parse_args()
    charges.self_test()
    doubts = 0
    for name, make in (("V1 and Preview", direct_chain), ("Preview moved to V1", MovedChain)):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-chain-"))
        chain = make(options, directory)
        try:
            chain.run()
        except Failed as failure:
            print(f"{name} FAILED (--seed {options.seed}, files in {directory}): {failure}", file=sys.stderr)
            return 1
        shutil.rmtree(directory)
        doubts += len(chain.doubts)
        acknowledged, unknown = len(chain.calls("acknowledged")), len(chain.calls("unknown"))
        print(f"{name}: {options.kills} kills of each; {acknowledged} calls acknowledged, {unknown} without an answer; "
              f"{len(chain.doubts)} usages in doubt, {chain.applied} of them charged")
    if not doubts and options.in_doubt == "hold":
        print(f"FAILED (--seed {options.seed}): nothing was ever in doubt, so nothing was shown", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
