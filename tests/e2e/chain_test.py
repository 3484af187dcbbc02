#!/usr/bin/python3
"""meterd in front of meterd: the first one's upstream is the second one's Usages API, and both are killed.

Events are reported to the first one, and callers of its own Usages API create and delete usages there, each request
repeated until it is answered. At the end the second one's list is what the first one delivered, exactly; every event
and every usage that was acknowledged is in it once, and nothing that was deleted.
"""

import argparse
import http.client
import json
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse
from decimal import Decimal

from harness import Device, Failed, wait_until

EVENT, EVENT_PRICE, CALLED_PRICE = "sms.sent", "sms-usd", "calls-usd"
SUBSCRIPTIONS = ("sub_a", "sub_b", "süb /c")
ANSWER_SECONDS = 60  # for a request that is repeated
DRAIN_SECONDS = 60
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Client(threading.Thread):
    """Repeats each request until it is answered by other than 503."""

    def __init__(self, device, seed, over):
        super().__init__(name=type(self).__name__)
        self.device, self.over, self.error = device, over, None
        self.random = random.Random(f"{seed}/{self.name}")

    def run(self):
        try:
            while not self.over.is_set():
                self.turn()
        except Exception as error:  # shown by the main thread, which ends the test
            self.error = error

    def ask(self, method, path, body=None, headers=()):
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            try:
                status, answer = self.device.request(method, path, body, headers)
                if status != 503:
                    return status, json.loads(answer)
            except (OSError, http.client.HTTPException):
                pass  # killed meanwhile
            self.over.wait(0.02)
        raise Failed(f"{method} {path} is not answered within {ANSWER_SECONDS} s")


class Reporter(Client):
    """Events with ids of their own."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.sums, self.number = {}, 0

    def turn(self):
        batch = []
        for _ in range(20):
            self.number += 1
            batch.append({"specversion": "1.0", "type": EVENT, "source": "chain", "id": f"e{self.number}",
                          "subscription": self.random.choice(SUBSCRIPTIONS),
                          "data": {"quantity": str(self.random.randint(1, 9))}})
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        status, answer = self.ask("POST", "/events", json.dumps(batch), headers)
        if status != 200:
            raise Failed(f"events were refused: {status} {answer}")
        for event in batch:
            key = event["subscription"]
            self.sums[key] = self.sums.get(key, 0) + int(event["data"]["quantity"])
        self.over.wait(0.01)


class Caller(Client):
    """Usages of a caller: created with a key, some of them deleted, some dates used again."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.kept, self.deleted, self.number = {}, set(), 0

    def call(self, subscription, verb, fields):
        self.number += 1
        path = f"/api/v2/subscriptions/{urllib.parse.quote(subscription, safe='')}/{verb}"
        headers = FORM | {"chargebee-idempotency-key": f"key-{self.number}"}
        status, answer = self.ask("POST", path, urllib.parse.urlencode(fields), headers)
        if status != 200:
            raise Failed(f"{verb} {fields} was refused: {status} {answer}")
        return answer["usage"]

    def create(self, subscription, date):
        identity = f"u{self.number}"
        quantity = f"{self.random.randint(1, 99)}.{self.random.choice(('0', '5', '25'))}"
        fields = {"id": identity, "item_price_id": CALLED_PRICE, "usage_date": date, "quantity": quantity}
        self.call(subscription, "usages", fields)
        self.kept[identity] = (subscription, CALLED_PRICE, date, Decimal(quantity))

    def turn(self):
        self.create(self.random.choice(SUBSCRIPTIONS), 1_600_000_000 + self.number)
        if self.random.random() < 0.4:
            identity = self.random.choice(sorted(self.kept))
            subscription, _, date, _ = self.kept.pop(identity)
            self.call(subscription, "delete_usage", {"id": identity})
            self.deleted.add(identity)
            if self.random.random() < 0.5:
                self.create(subscription, date)
        self.over.wait(0.01)


def usages_of(device):
    """{id: (subscription, item price, usage_date, quantity)}, page by page."""
    out, offset = {}, None
    while True:
        parameters = {"limit": 100} | ({"offset": offset} if offset else {})
        page = device.get("/api/v2/usages?" + urllib.parse.urlencode(parameters))
        for row in page["list"]:
            usage = row["usage"]
            if usage["id"] in out:
                raise Failed(f"{usage['id']} is listed twice")
            out[usage["id"]] = (usage["subscription_id"], usage["item_price_id"], usage["usage_date"],
                                Decimal(usage["quantity"]))
        offset = page.get("next_offset")
        if not offset:
            return out


def compare(first, second, reporter, caller):
    ours, theirs = usages_of(first), usages_of(second)
    if ours != theirs:
        raise Failed(f"the lists differ: only the first has {sorted(ours.keys() - theirs.keys())[:5]}, only the second "
                     f"{sorted(theirs.keys() - ours.keys())[:5]}")
    called = {identity: usage for identity, usage in theirs.items() if usage[1] == CALLED_PRICE}
    if called != caller.kept:
        raise Failed(f"of the caller's usages are missing {sorted(caller.kept.keys() - called.keys())[:5]}, too many are "
                     f"{sorted(called.keys() - caller.kept.keys())[:5]}")
    sums = {}
    for subscription, price, _, quantity in theirs.values():
        if price == EVENT_PRICE:
            sums[subscription] = sums.get(subscription, 0) + quantity
    if sums != reporter.sums:
        raise Failed(f"reported {reporter.sums}, billed {sums}")
    for device in (first, second):
        code, text = device.ctl("verify")
        if code != 0:
            raise Failed(f"meterctl verify ended with {code}: {text}")
    return len(theirs)


def kill_in_turns(options, first, second, over, clients):
    chance = random.Random(f"{options.seed}/kills")
    for turn in range(2 * options.kills):
        if over.wait(chance.uniform(0.2, 1.2)) or any(client.error for client in clients):
            return
        device = (first, second)[turn % 2]
        device.kill()
        device.start()


def run(options, directory):
    second = Device(options.meterd, options.meterctl, directory / "second")
    first = Device(options.meterd, options.meterctl, directory / "first")
    second.write_config([(EVENT, EVENT_PRICE)], device="gw-second", over_tcp=True)
    first.write_config([(EVENT, EVENT_PRICE)], second.tcp_port, device="gw-first")
    over = threading.Event()
    reporter, caller = (kind(first, options.seed, over) for kind in (Reporter, Caller))
    try:
        second.start()
        first.start()
        reporter.start()
        caller.start()
        kill_in_turns(options, first, second, over, (reporter, caller))
        over.set()
        for client in (reporter, caller):
            client.join(2 * ANSWER_SECONDS)
            if client.error:
                raise client.error
        first.drain(DRAIN_SECONDS)
        wait_until("the second one has no deletion left", lambda: not second.get("/operator/outbox")["outbox"], 20)
        return compare(first, second, reporter, caller), reporter, caller
    except Failed:
        for device in (first, second):
            print(f"== the end of {device.log_file}:\n{device.log_tail()}", file=sys.stderr)
        raise
    finally:
        over.set()
        first.stop()
        second.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meterd", type=pathlib.Path, required=True)
    parser.add_argument("--meterctl", type=pathlib.Path, required=True)
    parser.add_argument("--sandbox", type=pathlib.Path, help="not used: meterd is the upstream")
    parser.add_argument("--kills", type=int, default=8, help="of each of the two")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-chain-"))
    try:
        usages, reporter, caller = run(options, directory)
    except Failed as failure:
        print(f"FAILED (--seed {options.seed}, files in {directory}): {failure}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    print(f"{options.kills} kills of each: {usages} usages at the second one, as at the first; {reporter.number} events, "
          f"{caller.number} calls, {len(caller.deleted)} deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
