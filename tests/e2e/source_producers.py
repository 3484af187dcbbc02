"""Who is counted by the sources while the daemon is killed; each knows what it sent, to the unit.

    Packets       bytes from each subscriber, past the rules and the interface
    Reloads       the rules of one table are replaced; each once the gap of the last one is told and committed
    Calls         what a web server's workers log, into a socket that is held while nobody reads it
    Messages      short messages, sent and received, through a service that starts again
    Apps          counters in shared memory: of an app that stays, of one that is replaced in peace, of one that is killed

They go on until there will be no kill any more.
"""

import dataclasses
import http.client
import json
import socket
import time

import gateway
from counting_app import App
from frames import Lost
from harness import Failed, wait_until
from lossy_producers import Record
from modem_bus import Letters
from producers import RECONNECT_SECONDS, Producer

PACKETS_AT_ONCE, BYTES_MAX, PAUSE_SECONDS = 10, 1000, 0.01
# Of all senders together: they pause after each burst, and make up for nothing.
BYTES_PER_SECOND_MAX = int(PACKETS_AT_ONCE * (BYTES_MAX + gateway.IP_HEADERS) / PAUSE_SECONDS * 1.1)
WORKERS = ("<190>Nov 21 23:46:41 meterd: ", "<190>1 2026-11-21T23:46:41Z gw nginx 7 - - ", "")  # what is before an object
BURST_CALLS, BURST_CHANCE = 400, 0.003  # of one to three each: more than the queue holds
LAST_CALLS = 3
MESSAGES_KEPT = 100  # and those of a turn: fewer than meterd remembers
SETTLE_SECONDS = 60  # kills come meanwhile


class SourceProducer(Producer):
    def __init__(self, name, device, events, plan):
        super().__init__(name, device, events, plan)
        self.refused = 0

    def goes_on(self):
        return not self.plan.killed.is_set()

    def wait(self, what, check, seconds=SETTLE_SECONDS):
        """`check` is asked again while the daemon is away."""

        def asked():
            self.pause(0)
            try:
                return check()
            except (OSError, http.client.HTTPException, json.JSONDecodeError, TypeError):
                return False

        wait_until(what, asked, seconds, every=0.05)

    def ask(self, what, question):
        """The answer, once the daemon is there to give it."""
        answers = []
        self.wait(what, lambda: answers.append(question()) or True)
        return answers[-1]


class Packets(SourceProducer):
    def __init__(self, name, device, lan, plan):
        super().__init__(name, device, 1, plan)
        self.lan = lan

    def produce(self):
        while self.goes_on():
            self.lan.send(self.random.choice(self.lan.addresses), self.random.randint(1, BYTES_MAX),
                          self.random.randint(1, PACKETS_AT_ONCE))
            self.sent += 1
            self.pause(PAUSE_SECONDS)


class Reloads(SourceProducer):
    """`sent` is the number of reloads. Events with ids are reported after each: their acknowledgement says that the gap is
    stored. `rules`: what is loaded, and the name of the source that it is the business of."""

    DAYS_BACK = (0,)

    def __init__(self, name, device, rules, plan):
        super().__init__(name, device, 1, plan)
        self.rules, self.source = rules
        self.lost_max = self.last_lost_max = 0

    def produce(self):
        while self.goes_on():
            self.pause(self.random.uniform(0.5, 4))
            gateway.run("nft", "-f", "-", text=self.rules)
            self.sent += 1
            self.wait("the gap of a reload is stored", self.is_stored)
            self.lost_max += self.last_lost_max

    def is_stored(self):
        """One and the same process has told it, and then committed something."""
        process = self.device.process
        shown = next(one for one in self.device.get("/status")["counting"]["sources"] if one["name"] == self.source)
        if shown["gaps"] != self.sent:
            return False
        self.last_lost_max = int(shown["recent_gaps"][-1]["lost_max"])
        return self.report() and self.device.process is process

    def report(self):
        batch = self.plan.messages.Batch(producer="reloads", ack=0)
        event = batch.events.add(id=f"reload-{self.acknowledged}")
        booking = self.fill(event, self.acknowledged)
        try:
            connection = self.connect()
            ack = connection.ask(batch)
            connection.close()
        except Lost:
            return False
        if ack.error or ack.errors or ack.counted + ack.duplicates != 1:
            raise AssertionError(f"unexpected answer {ack}")
        self.duplicates += ack.duplicates
        self.acknowledged += 1
        self.book(*booking)
        return True


@dataclasses.dataclass
class Worker:
    name: str
    before: str
    socket: socket.socket
    number: int = 0


class Calls(SourceProducer):
    """As nginx: a message that the socket does not take at once is gone, and its number with it."""

    def __init__(self, name, device, path, plan):
        super().__init__(name, device, 1, plan)
        self.path = str(path)
        self.records = []
        self.workers = []

    def produce(self):
        for at, before in enumerate(WORKERS):
            self.workers.append(Worker(f"{self.plan.seed}-{at}", before, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)))
        while self.goes_on():
            worker = self.random.choice(self.workers)
            for _ in range(BURST_CALLS if self.random.random() < BURST_CHANCE else 1):
                self.some(worker)
            self.pause(self.random.uniform(0, 0.02))
        for worker in self.workers:  # what is lost is seen by what comes after it
            for _ in range(LAST_CALLS):
                self.put(worker, self.next(worker), wait=True)
            worker.socket.close()

    def some(self, worker):
        messages = [self.next(worker) for _ in range(self.random.choice((1, 1, 2, 3)))]
        if self.random.random() < 0.1:  # overtaken on the way
            messages.reverse()
        for message in messages:
            self.put(worker, message, wait=False)

    def next(self, worker):
        worker.number += 1
        subscription = self.random.choice(self.plan.SUBSCRIPTIONS)
        call = {"sub": subscription, "status": "200", "path": "/api/x", "worker": worker.name, "seq": str(worker.number)}
        return subscription, worker.before + json.dumps(call)

    def put(self, worker, message, wait):
        subscription, text = message
        record = Record(time.monotonic(), 0.0, subscription, 1)
        try:
            worker.socket.sendto(text.encode(), 0 if wait else socket.MSG_DONTWAIT, self.path)
        except BlockingIOError:
            record.certain = False
            self.refused += 1
        record.done = time.monotonic()
        self.records.append(record)
        self.sent += 1


class Messages(SourceProducer):
    """`truth` of `letters` in segments. `doubted`: of these, what was sent like an earlier message while meterd and the
    modem's manager were both away: nobody can tell it from that one, and it is a gap. `settled`: gaps told and such
    messages sent when all was counted last; only what came since can be in doubt."""

    def __init__(self, name, device, service, plan):
        super().__init__(name, device, 1, plan)
        self.letters = Letters(service, self.random)
        self.doubted = 0
        self.settled = (0, 0)

    def produce(self):
        letters = self.letters
        events = [letters.restart, lambda: letters.delete_but(2 * MESSAGES_KEPT), letters.disable,
                  lambda: letters.delete_but(MESSAGES_KEPT)]
        while self.goes_on():
            for _ in range(self.random.randint(10, 40)):
                self.letters.one(may_repeat=True)
                self.sent = self.letters.messages
                self.pause(self.random.uniform(0, 0.1))
            self.settle()
            events[0]()
            events.append(events.pop(0))

    def settle(self):
        """Before something goes that nobody could know of afterwards."""
        try:
            self.wait("all messages are counted", lambda: self.missing() == {"sent": self.doubted, "received": 0})
        except Failed:
            self.doubt()
        self.settled = (self.ask("the gaps", self.gap_source)["gaps"], self.letters.same)

    def doubt(self):
        gaps_before, same_before = self.settled
        missing, source = self.ask("what is missing", lambda: (self.missing(), self.gap_source()))
        gaps = source["recent_gaps"][-(source["gaps"] - gaps_before):] if source["gaps"] > gaps_before else []
        most = min(sum(int(gap["lost_max"]) for gap in gaps), self.letters.same - same_before)
        if missing["received"] != 0 or not 0 < missing["sent"] - self.doubted <= most:
            raise AssertionError(f"missing {missing}, in doubt before {self.doubted}, since {most}: {self.letters}")
        self.doubted = missing["sent"]

    def missing(self):
        counted = self.counted()
        return {way: segments - counted[way] for way, segments in self.letters.truth.items()}

    def gap_source(self):
        """Gaps of sent messages; those of received ones are judged with the other sources'."""
        [source] = [one for one in self.device.get("/status")["counting"]["sources"] if one["name"].endswith(":sent")]
        return source

    def counted(self):
        rows = self.device.balances()
        return {way: sum(int(row["accepted"]) for key, row in rows.items() if key[1] == self.plan.item_price(way))
                for way in self.letters.truth}


class Apps(SourceProducer):
    def __init__(self, name, device, program, plan):
        super().__init__(name, device, 1, plan)
        self.apps = [App(program, device, f"{name}.{way}", plan.SUBSCRIPTIONS[0]) for way in ("stays", "parks", "dies")]

    def produce(self):
        self.wait("meterd is there for apps", (self.device.ingest.parent / "counters.sock").exists)
        for app in self.apps:
            app.start()
        stays, parks, dies = self.apps
        while self.goes_on():
            self.pause(self.random.uniform(0.5, 3))
            app = self.random.choice((parks, dies))
            if app is parks:
                app.park()
            app.kill()
            self.pause(self.random.uniform(0, RECONNECT_SECONDS))
            app.start()
            self.sent += 1
        for app in self.apps:
            app.park()
            app.kill()

    def stop(self):
        for app in self.apps:
            if app.process and app.process.poll() is None:
                app.kill()

    def left(self):
        """Of the memory that was made: none, once no app has it any more."""
        store = self.device.store
        stored = [name for name in store.kept() if name.startswith("meterd-counters-")] if store else []
        return stored + [path.name for path in (self.device.ingest.parent / "counters").glob("*")]
