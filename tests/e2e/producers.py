"""The producers of the kill test: each a thread with its own event name and item price, so that each way in is judged
on its own. A producer keeps its own books; the daemon's answers only ever move an event from "sent" to "acknowledged".
Here are those that ask for a commit and repeat until they are told of it; lossy_producers.py has the others.

    Sequenced        framed, committed; a batch is sent again with the same sequence until it is acknowledged
    Identified       framed, committed, event ids; two connections send the same events shuffled and repeatedly, but
                     for a third of them, which nobody repeats once they are acknowledged
    Reporter         meterctl report with ids, repeated until it succeeds, and sometimes once more

A committed acknowledgement commits everybody's events. So those who ask for one keep silent half of the time: kills
that fall into the silence find the full loss window.
"""

import collections
import datetime
import json
import random
import threading
import time
import traceback
from decimal import Decimal

from frames import FramedConnection, Lost
from verdict import EXACT

SUBSCRIPTIONS = ("sub_a", "sub_b")
# Sums of these need 38 of a usage's 40 characters. "" is counted as 1.
QUANTITIES = ("0.1", "3", "1000000000000000000000.000001", "", "12.345")
RECONNECT_SECONDS = 0.02
GIVE_UP_SECONDS = 60
ACTIVE_SECONDS = 1.5  # and as long silent


class Stopped(Exception):
    """The run is over, well or not; the producer ends."""


class Producer(threading.Thread):
    DAYS_BACK = (0, 0, 0, 1, 30)
    SILENCES = False

    def __init__(self, name, device, events, plan):
        super().__init__(name=name, daemon=True)
        self.event, self.item_price = f"{name}.count", plan.item_price(name)
        self.device, self.events, self.plan = device, events, plan
        self.random = random.Random(f"{plan.seed}/{name}")
        self.sent = self.acknowledged = self.duplicates = 0
        self.totals = collections.defaultdict(Decimal)  # acknowledged, by (subscription, item price, day)
        self.error = None

    def run(self):
        try:
            self.produce()
        except Stopped:
            pass
        except Exception:
            self.error = traceback.format_exc()
            self.plan.over.set()

    def until_due(self):
        """Seconds until it is the next event's turn: the events spread over the whole run, silences left out."""
        at = self.plan.span * self.sent / self.events
        if self.SILENCES:
            slots, rest = divmod(at / 2, ACTIVE_SECONDS)
            at = slots * 2 * ACTIVE_SECONDS + rest
        return self.plan.began + at - time.monotonic()

    def pace(self):
        self.pause(max(0.0, self.until_due()))

    def pause(self, seconds):
        if self.plan.over.wait(seconds):
            raise Stopped

    def connect(self):
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return FramedConnection(self.device.ingest, self.plan.messages)
            except Lost:
                if time.monotonic() > deadline:
                    raise
                self.pause(RECONNECT_SECONDS)

    def book(self, subscription, day, quantity):
        key = (subscription, self.item_price, day)
        self.totals[key] = EXACT.add(self.totals[key], Decimal(quantity or "1"))

    def fill(self, event, number):
        """Event number `number` is the same whenever and by whomever it is sent. Returns its (subscription, day,
        quantity)."""
        chance = random.Random(f"{self.plan.seed}/{self.event}/{number}")
        event.name, event.subscription = self.event, chance.choice(self.plan.SUBSCRIPTIONS)
        event.quantity = self.plan.quantity(chance)
        back = datetime.timedelta(days=chance.choice(self.DAYS_BACK), seconds=chance.randrange(3600))
        at = self.plan.moment - back
        event.time_ms = int(at.timestamp() * 1000)
        return event.subscription, at.strftime("%Y-%m-%d"), event.quantity


class Sequenced(Producer):
    IN_FLIGHT = 4
    SILENCES = True

    def goes_on(self, _waiting):
        return self.acknowledged < self.events

    def produce(self):
        waiting = collections.deque()  # (batch, booking); the oldest first, all of them unacknowledged
        while self.goes_on(waiting):
            connection = self.connect()
            try:
                self.converse(connection, waiting)
            except Lost:
                pass
            finally:
                connection.close()

    def converse(self, connection, waiting):
        """Several batches at a time. On most connections an answer is read as soon as it is there, so that it counts
        before a kill; on the others only when nothing else can be done, so that what was counted is sent again."""
        lazy = self.random.random() < 0.3
        for batch, _ in waiting:  # in the same order, with the same sequence
            connection.send(batch)
        while waiting or self.sent < self.events:
            may_send = self.sent < self.events and len(waiting) < self.IN_FLIGHT
            if may_send and self.until_due() <= 0:
                for _ in range(self.random.randint(1, self.IN_FLIGHT - len(waiting))):
                    if self.sent < self.events:
                        waiting.append(self.next_batch())
                        connection.send(waiting[-1][0])
            elif lazy and may_send:
                self.pace()
            elif waiting and connection.readable(self.until_due() if may_send else 1):
                self.take(connection.receive(), *waiting[0])
                waiting.popleft()
            elif not waiting:
                self.pace()
            self.pause(0)

    def next_batch(self):
        batch = self.plan.messages.Batch(producer="sequenced", sequence=self.sent + 1, ack=0)
        size = min(self.random.randint(1, 40), self.events - self.sent)
        booking = [self.fill(batch.events.add(), self.sent + i) for i in range(size)]
        self.sent += size
        return batch, booking

    def take(self, ack, batch, booking):
        if ack.error or ack.errors or ack.level != 0 or ack.counted + ack.duplicates != len(batch.events):
            raise AssertionError(f"batch {batch.sequence}: unexpected answer {ack}")
        self.acknowledged += len(batch.events)
        self.duplicates += ack.duplicates
        for subscription, day, quantity in booking:
            self.book(subscription, day, quantity)


class Identified(Producer):
    """Two of them share one list of acknowledged ids: what the other has already sent is sent again."""

    DAYS_BACK = (0, 0, 1, 5)  # an id is not believed for an event older than remember_ids
    SILENCES = True

    def __init__(self, name, device, events, plan, partner=None):
        super().__init__(name, device, events, plan)
        self.random = random.Random(f"{plan.seed}/{name}/{'second' if partner else 'first'}")
        self.numbers = [number for number in range(events) if not partner or self.repeatable(number)]
        self.random.shuffle(self.numbers)
        self.booked = partner.booked if partner else {}
        self.lock = partner.lock if partner else threading.Lock()
        self.round_trip = 0.0  # the longest until a committed batch was answered on the connection it was sent on

    def produce(self):
        connection = self.connect()
        at = 0
        while at < len(self.numbers):
            self.pace()
            fresh = self.numbers[at : at + self.random.randint(1, 40)]
            before = [number for number in self.numbers[:at] if self.repeatable(number)]
            again = self.random.sample(before, min(len(before), len(fresh) // 2)) + fresh[:1]
            self.random.shuffle(numbers := fresh + again)
            batch = self.plan.messages.Batch(producer="identified", ack=0)
            booking = [(number, self.add(batch, number)) for number in numbers]
            while True:  # until it is acknowledged
                try:
                    left = time.monotonic()
                    ack = connection.ask(batch)
                    self.round_trip = max(self.round_trip, time.monotonic() - left)
                    break
                except Lost:
                    connection.close()
                    connection = self.connect()
            self.take(ack, booking)
            at += len(fresh)
            self.sent = at
        connection.close()

    @staticmethod
    def repeatable(number):
        return number % 3 != 0

    def add(self, batch, number):
        event = batch.events.add()
        event.id = f"{self.event}-{number}"
        return self.fill(event, number)

    def take(self, ack, booking):
        if ack.error or ack.errors or ack.counted + ack.duplicates != len(booking):
            raise AssertionError(f"unexpected answer {ack}")
        self.duplicates += ack.duplicates
        with self.lock:
            for number, (subscription, day, quantity) in booking:
                if number not in self.booked:
                    self.booked[number] = True
                    self.acknowledged += 1
                    self.book(subscription, day, quantity)


class Reporter(Producer):
    SILENCES = True

    def produce(self):
        day = self.plan.moment.strftime("%Y-%m-%d")
        moment = self.plan.moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        while self.sent < self.events:
            self.pace()
            quantity = self.plan.quantity(self.random) or "7"
            subscription = self.random.choice(self.plan.SUBSCRIPTIONS)
            report = ["report", self.event, "--subscription", subscription, "--quantity", quantity]
            report += ["--id", f"report-{self.sent}", "--time", moment, "--ack", "committed", "--json"]
            self.sent += 1
            deadline = time.monotonic() + GIVE_UP_SECONDS
            for _ in range(2 if self.random.random() < 0.2 else 1):
                while not self.report(report):
                    if time.monotonic() > deadline:
                        raise AssertionError(f"not acknowledged within {GIVE_UP_SECONDS} s: {report}")
                    self.pause(RECONNECT_SECONDS)
            self.acknowledged += 1
            self.book(subscription, day, quantity)

    def report(self, arguments):
        code, text = self.device.ctl(*arguments)
        if code == 2:
            raise AssertionError(f"meterctl {' '.join(arguments)}: {text}")
        if code == 0:
            self.duplicates += json.loads(text)["duplicates"]
        return code == 0


def totals_of(own):
    """What was acknowledged to all of them, by (subscription, item price, day)."""
    totals = collections.defaultdict(Decimal)
    for producer in own:
        for key, value in producer.totals.items():
            totals[key] = EXACT.add(totals[key], value)
    return dict(totals)
