"""The producers of the kill test that send everything once and may lose some of it when the daemon is killed.

    Received              framed, acknowledged at once
    StatsdUnix, StatsdUdp lines in datagrams; what the socket accepted counts as sent

All events of one producer have the same quantity: the billed quantity tells how many arrived.
"""

import dataclasses
import socket
import time

from frames import Lost
from producers import RECONNECT_SECONDS, Producer


@dataclasses.dataclass
class Record:
    """A datagram or batch of a producer that may lose: when it left and, if it is known, when it had been counted."""

    left: float
    done: float  # accepted by the socket, or acknowledged
    subscription: str
    events: int
    certain: bool = True  # False: no answer came, so it is at risk whatever else happened


class LossyProducer(Producer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.records = []


class Received(LossyProducer):
    UNIT = "1000000000000000000000.000001"

    def produce(self):
        connection = self.connect()
        while self.sent < self.events:
            self.pace()
            size = min(self.random.randint(1, 40), self.events - self.sent)
            batch = self.plan.messages.Batch(ack=1)
            subscription = self.random.choice(self.plan.SUBSCRIPTIONS)
            for _ in range(size):
                batch.events.add(name=self.event, subscription=subscription, quantity=self.UNIT)
            record = Record(time.monotonic(), 0.0, subscription, size, certain=False)
            self.records.append(record)
            self.sent += size
            try:
                ack = connection.ask(batch)
            except Lost:
                connection.close()
                connection = self.connect()
                continue
            if ack.error or ack.errors or ack.level != 1 or ack.counted != size:
                raise AssertionError(f"unexpected answer {ack}")
            record.done, record.certain = time.monotonic(), True
            self.acknowledged += size
        connection.close()


class Statsd(LossyProducer):
    def produce(self):
        self.open()
        while self.sent < self.events:
            self.pace()
            size = min(self.random.randint(1, 8), self.events - self.sent)
            subscription = self.random.choice(self.plan.SUBSCRIPTIONS)
            line = f"{self.event}:{self.UNIT}|c|#subscription:{subscription}"
            left = time.monotonic()
            try:
                self.put("\n".join([line] * size).encode())
            except OSError:  # nobody there: it did not leave, so it is no event
                self.refused += 1
                self.pause(RECONNECT_SECONDS)
                continue
            self.records.append(Record(left, time.monotonic(), subscription, size))
            self.sent += size

    def open(self):
        self.refused = 0
        self.socket = socket.socket(self.FAMILY, socket.SOCK_DGRAM)
        self.socket.settimeout(5)


class StatsdUnix(Statsd):
    FAMILY, UNIT = socket.AF_UNIX, "0.1"

    def put(self, data):
        self.socket.sendto(data, str(self.device.statsd))  # waits while the queue is full


class StatsdUdp(Statsd):
    FAMILY, UNIT = socket.AF_INET, "3"

    def open(self):
        super().open()
        self.socket.connect(("127.0.0.1", self.device.udp_port))  # connected: a dead daemon is told by an error

    def put(self, data):
        self.socket.send(data)
