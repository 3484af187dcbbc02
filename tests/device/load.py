"""What apps send to the device while something is done to it, and what must come of it."""

import contextlib
import http.client
import itertools
import json
import socket
import threading
import time
from decimal import Decimal

from frames import FramedConnection, Lost
from harness import Failed, wait_until

EVENT, ITEM_PRICE = "sms.sent", "sms-usd"
BATCH = 20
REPEAT_SECONDS, ANSWER_SECONDS = 15, 60
UNREAD_MAX = 50  # of one sender: what nobody has read yet fills its own send buffer, with some 70 datagrams


class Reporter(threading.Thread):
    """Batches of events with ids, each repeated until all of it is acknowledged as committed."""

    _numbers = itertools.count()

    def __init__(self, machine, subscription="sub_acknowledged"):
        super().__init__(daemon=True)
        self._machine, self.subscription = machine, subscription
        self._over = threading.Event()
        self._source = f"app-{next(self._numbers)}"
        self.acknowledged = self.repeated = self.duplicates = 0

    def run(self):
        for number in itertools.count():
            if self._over.is_set():
                return
            batch = self._batch(number)
            while not self._acknowledged(batch):
                self.repeated += 1
                self._over.wait(0.02)
            self.acknowledged += BATCH

    def _batch(self, number):
        return json.dumps([{"specversion": "1.0", "type": EVENT, "source": self._source, "id": f"{number}-{at}",
                            "subscription": self.subscription, "data": {"quantity": "1"}} for at in range(BATCH)])

    def _acknowledged(self, body):
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(self._machine.connection(REPEAT_SECONDS)) as to:
            to.request("POST", "/events", body, {"Content-Type": "application/cloudevents-batch+json"})
            answer = to.getresponse()
            said = json.loads(answer.read())
            self.duplicates += said.get("duplicates", 0)
            return answer.status == 200 and said["counted"] + said["duplicates"] == BATCH
        return False

    def stop(self, seconds=120):
        self._over.set()
        self.join(seconds)
        if self.is_alive():
            raise Failed("a batch was never acknowledged")


class Framed(Reporter):
    """The same over the framed socket, numbered instead."""

    def __init__(self, machine, subscription, messages):
        super().__init__(machine, subscription)
        self._messages, self._to = messages, None

    def _batch(self, number):
        batch = self._messages.Batch(producer=self._source, sequence=number * BATCH + 1)
        for _ in range(BATCH):
            batch.events.add(name=EVENT, subscription=self.subscription)
        return batch

    def _acknowledged(self, batch):
        try:
            self._to = self._to or FramedConnection(self._machine.ingest, self._messages)
            answer = self._to.ask(batch)
        except Lost:
            if self._to:
                self._to.close()
            self._to = None
            return False
        self.duplicates += answer.duplicates
        return answer.counted + answer.duplicates == BATCH


class Datagrams(threading.Thread):
    """statsd lines, which nobody acknowledges: sent while the socket stands, whether anybody reads it or not."""

    def __init__(self, machine, a_second=100):
        super().__init__(daemon=True)
        self._path = machine.socket("statsd")
        self._pause = 1 / a_second
        self._over = threading.Event()
        self.sent = 0
        self.failed = None

    def run(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(60)
            while not self._over.wait(self._pause):
                try:
                    self._send(out)
                except OSError as error:
                    self.failed = error
                    return

    def _send(self, out):
        out.sendto(f"{EVENT}:1|c|#subscription:sub_datagrams".encode(), self._path)
        self.sent += 1

    def stop(self):
        self._over.set()
        self.join(120)
        if self.failed or self.is_alive():
            raise Failed(f"a datagram was not taken: {self.failed}")


@contextlib.contextmanager
def under_load(machine, datagrams=True):
    """Two apps that wait for acknowledgements, and one that does not, while the block runs."""
    senders = [Reporter(machine), Reporter(machine), *([Datagrams(machine)] if datagrams else [])]
    for sender in senders:
        sender.start()
    wait_until("the load is on", lambda: all(progress(sender) >= BATCH for sender in senders), 60)
    try:
        yield senders
    finally:
        for sender in senders:
            sender.stop()


def progress(sender):
    return sender.acknowledged if isinstance(sender, Reporter) else sender.sent


def send_datagrams(machine, count):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.settimeout(60)
        for _ in range(count):
            out.sendto(f"{EVENT}:1|c|#subscription:sub_datagrams".encode(), machine.socket("statsd"))


def ask(machine, method, path, body=None, headers=()):
    """(status, the answer's JSON)"""
    with contextlib.closing(machine.connection(ANSWER_SECONDS)) as to:
        to.request(method, path, body, dict(headers))
        answer = to.getresponse()
        return answer.status, json.loads(answer.read())


def balances(machine):
    """{(subscription, item price, day): the row} of everything ever counted."""
    rows = ask(machine, "GET", "/operator/balances")[1]["balances"]
    return {(row["subscription_id"], row["item_price_id"], row["usage_day"]): row for row in rows}


def report(machine, number, event=EVENT):
    """One event, acknowledged as committed; with it everything that came before. Its status."""
    body = json.dumps({"specversion": "1.0", "type": event, "source": "test", "id": str(number),
                       "subscription": "sub_single", "data": {"quantity": "1"}})
    return ask(machine, "POST", "/events", body, {"Content-Type": "application/cloudevents+json"})[0]


class Tally:
    """What was sent so far, by subscription, and what is counted: the whole life of the device."""

    def __init__(self, machine):
        self._machine = machine
        self.expected = {"sub_acknowledged": 0, "sub_datagrams": 0, "sub_single": 0}
        self._single = 0

    def add(self, senders):
        for sender in senders:
            self.expected["sub_acknowledged" if isinstance(sender, Reporter) else "sub_datagrams"] += progress(sender)

    def add_datagrams(self, count):
        self.expected["sub_datagrams"] += count

    def commit(self):
        """Reports one event, after which everything that was read before is on the disk."""
        self._single += 1
        status = report(self._machine, self._single)
        if status != 200:
            raise Failed(f"an event was answered {status}")
        self.expected["sub_single"] += 1

    def counted(self):
        rows = ask(self._machine, "GET", "/operator/balances")[1]["balances"]
        out = dict.fromkeys(self.expected, Decimal(0))
        for row in rows:
            if row["item_price_id"] == ITEM_PRICE:
                out[row["subscription_id"]] += Decimal(row["accepted"])
        return out

    def check(self):
        """Everything, to the unit. The sum."""
        deadline = time.monotonic() + 60
        while True:
            self.commit()
            counted = self.counted()
            if counted == self.expected:
                return sum(self.expected.values())
            # What waits in a socket is read after what was reported on another one.
            if time.monotonic() > deadline or any(counted[key] > value for key, value in self.expected.items()):
                raise Failed(f"sent {self.expected}, counted { {key: int(value) for key, value in counted.items()} }")
            time.sleep(0.2)
