"""Events at a steady rate over the framed socket, over some subscriptions in turn: what a busy device is sent."""

import time

from frames import FramedConnection
from harness import Failed
from load import EVENT

RATE = 1_000  # events a second
BATCH = 100
BATCH_MAX = 5_000
COMMITTED, RECEIVED = 0, 1
ANSWER_SECONDS = 60


class Steady:
    def __init__(self, machine, messages, name, subscriptions):
        self._messages, self._name = messages, name
        self._subscriptions = [f"{name}_{n}" for n in range(subscriptions)]
        self._to = FramedConnection(machine.ingest, messages, ANSWER_SECONDS)
        self.sent = 0

    def send(self, count, ack=COMMITTED):
        """One batch. Returns when it is answered."""
        batch = self._messages.Batch(producer=self._name, sequence=self.sent + 1, ack=ack)
        for number in range(self.sent, self.sent + count):
            batch.events.add(name=EVENT, subscription=self._subscriptions[number % len(self._subscriptions)])
        answer = self._to.ask(batch)
        if answer.error or answer.counted != count:
            raise Failed(f"a batch of {count} was answered {answer}")
        self.sent += count

    def run(self, seconds, ack=COMMITTED, meanwhile=lambda: None):
        """So many events as belong to so many seconds: what is due, as soon as the last answer is there."""
        began, first = time.monotonic(), self.sent
        while self.sent < first + RATE * seconds:
            due = min(int(RATE * (time.monotonic() - began)), RATE * seconds) - (self.sent - first)
            if due >= min(BATCH, RATE * seconds - (self.sent - first)):
                self.send(min(due, BATCH_MAX), ack)
            else:
                time.sleep(BATCH / RATE / 4)
            meanwhile()
        return time.monotonic() - began

    def sums(self):
        """{subscription: events}; one after the other had its turn."""
        step = len(self._subscriptions)
        return {name: len(range(first, self.sent, step)) for first, name in enumerate(self._subscriptions)}

    def close(self):
        self._to.close()
