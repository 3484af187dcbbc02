#!/usr/bin/python3
"""The promise for what meterd counts by itself: nftables, an interface, an access log, short messages and counters in
shared memory, all at once, while the upstream misbehaves and the daemon is killed, at random moments and at the system
calls that these sources make.

Each is judged by its own truth. Packets through rules that stay, bytes of the interface, segments of messages and
additions of apps are billed to the unit. Where a table is replaced, what is missing is within the bounds of the gaps that
are told, and each replacement is told once. Of the access log, whose socket is held, what is billed and what is shown as
lost are together what was sent, and no more is lost than a kill could take of what was read and not committed. An app that
is killed while it adds may have made the addition that it was about to note.
"""

import contextlib
import pathlib
import sys
import tempfile
from decimal import Decimal

import gateway
import harness
import loss
import producers
import source_producers
import source_setup as setup
import verdict
from activation import hold_datagrams
from harness import Failed, wait_until
from kill_run import COMMIT_INTERVAL_SECONDS, DRAIN_SECONDS, KillRun, parse_arguments, run_to_the_verdict
from kills import SOURCES as CALLS
from modem_bus import Bus, Service
from service_manager import Store

SPAN_SECONDS = 2.2  # for each kill
FAULTS = {"rate": 0.1, "kinds": ["all", "-error_429_bare", "-lock_timeout"], "retry_after": "1"}
QUEUE = 512  # datagrams: what systemd sets
SETTLE_SECONDS = 30
REST_SECONDS = 2.5  # two readings


class Run(KillRun):
    PHASES = ("find_the_starting_points", "count_and_kill", "settle", "stop_politely", "drain")

    def __init__(self, options, directory):
        super().__init__(options, directory, max(10.0, options.kills * SPAN_SECONDS), calls=CALLS)
        self.around = contextlib.ExitStack()  # what must not outlive the run
        # Apps' counters are in memory, as below /run; the journal is on the disk.
        memory = self.around.enter_context(tempfile.TemporaryDirectory(prefix="meterd-kill-", dir="/dev/shm"))
        self.device.ingest = pathlib.Path(memory) / "ingest.sock"
        if self.random.random() < 0.5:
            self.device.store = Store(pathlib.Path(memory))
            self.around.callback(self.device.store.close)
        self.base = {}

    def surround(self):
        """The subscribers, the bus, the held socket: what is there whether meterd is or not."""
        pathlib.Path("/proc/sys/net/unix/max_dgram_qlen").write_text(str(QUEUE))
        gateway.run("nft", "-f", "-", text=setup.RULES_THAT_STAY + setup.RELOAD)
        self.lan = gateway.Lan([*setup.STAYS, *setup.RELOADED, setup.STRANGER])
        self.around.callback(self.lan.stop)
        bus = Bus(self.device.directory)
        self.around.callback(bus.stop)
        self.service = Service(bus)
        self.around.callback(self.service.stop)
        self.log_socket = self.device.directory / "access.sock"
        self.device.held.append(hold_datagrams(self.log_socket))
        self.device.environment = bus.environment

    def make_producers(self):
        device, plan = self.device, self.plan
        self.packets = source_producers.Packets("packets", device, self.lan, plan)
        self.reloads = source_producers.Reloads("reloads", device, (setup.RELOAD, setup.RELOADED_SET), plan)
        self.calls = source_producers.Calls("calls", device, self.log_socket, plan)
        self.messages_ = source_producers.Messages("messages", device, self.service, plan)
        self.apps = source_producers.Apps("apps", device, self.options.client, plan)
        self.around.callback(self.apps.stop)
        self.all += [self.packets, self.reloads, self.calls, self.messages_, self.apps]
        self.identified = self.make(producers.Identified, "identified", self.options.events)

    def write_config(self):
        named = {event: self.plan.item_price(name) for event, name in setup.METERS.items()}
        named |= {producer.event: producer.item_price for producer in (self.identified, self.reloads)}
        named |= {app.event: self.plan.item_price(app.event) for app in self.apps.apps}
        sources = setup.config(self.log_socket, source_producers.BYTES_PER_SECOND_MAX)
        self.device.write_config(named.items(), self.sandbox.port, sources)

    def kill_moments(self):
        return self.kill_moments_anywhere(aimed=0.7)

    # What was sent, by item price and subscription; and what was counted.

    def sent(self):
        of = self.lan.bytes_of
        sums = {"set": {name: of[address] for address, name in setup.STAYS.items()},
                "reloaded": {name: of[address] for address, name in setup.RELOADED.items()},
                "counter": {"sub_all": sum(of.values())}, "link": {"sub_link": self.lan.link_bytes}}
        return {(self.plan.item_price(name), key): value for name, own in sums.items() for key, value in own.items()}

    def accepted(self):
        return {key: Decimal(row["accepted"]) for key, row in self.device.balances().items()}

    def counted(self):
        sums = dict.fromkeys(self.sent(), 0)
        for (subscription, item_price, _), value in self.accepted().items():
            if (item_price, subscription) in sums:
                sums[item_price, subscription] += int(value)
        return sums

    def sources(self):
        return self.device.get("/status")["counting"]["sources"]

    # The phases.

    def find_the_starting_points(self):
        """The first sight counts nothing; the truth begins with the first packet that is counted for everybody."""
        self.surround()
        self.make_producers()
        self.write_config()
        self.start()
        wait_until("no source is in trouble", lambda: not any(one["trouble"] for one in self.sources()), SETTLE_SECONDS)

        def all_seen():
            for address in self.lan.addresses:
                self.lan.send(address, 100)
            return all(self.counted().values())

        wait_until("every source of bytes counts", all_seen, SETTLE_SECONDS, every=0.2)
        self.messages_.letters.one()
        self.messages_.settle()
        harness.wait_for_rest("counting comes to rest", self.counted, REST_SECONDS, SETTLE_SECONDS)
        counted = self.counted()
        self.base = {key: value - counted[key] for key, value in self.sent().items()}

    def count_and_kill(self):
        self.sandbox.set_faults(FAULTS | {"seed": self.options.seed})
        self.kill_while_they_report()

    def settle(self):
        """Until all is counted, or it is clear that it will not be: then the verdict says what."""
        with contextlib.suppress(Failed):
            wait_until("everything is counted and no app's memory is left", self.is_all_counted, SETTLE_SECONDS, every=0.2)
        self.left = self.apps.left()

    def is_all_counted(self):
        return not self.apps.left() and not any(verdict.compare(self.claims(), self.accepted()).values())

    def stop_politely(self):
        self.terminate()

    def drain(self):
        self.sandbox.set_faults(None)
        self.start()
        self.device.drain(DRAIN_SECONDS)
        self.verify()
        self.balances, self.final_claims, self.final_gaps = self.device.balances(), self.claims(), self.gaps()
        self.terminate()

    def stop(self):
        super().stop()
        self.around.close()

    # The judgement.

    def claims(self):
        price = self.plan.item_price
        sent = {key: Decimal(value - self.base[key]) for key, value in self.sent().items()}

        def shown(name, **more):
            own = {subscription: value for (item_price, subscription), value in sent.items() if item_price == price(name)}
            return verdict.Shown(name, price(name), own, **more)

        claims = [shown("set"), shown("counter"), shown("link"), shown("reloaded", lost_max=Decimal(self.reloads.lost_max))]
        claims.append(self.claim_of_calls())
        for way, segments in self.messages_.letters.truth.items():
            doubted = self.messages_.doubted if way == "sent" else 0
            claims.append(verdict.Shown(way, price(way), {"sub_sms": Decimal(segments)}, lost_max=Decimal(doubted)))
        for app in self.apps.apps:
            least, most = app.truth()
            claims.append(verdict.Shown(app.event, price(app.event), {app.subscription: Decimal(most)},
                                        lost_max=Decimal(most - least)))
        own = [(producer.name, producer.item_price, dict(producer.totals)) for producer in (self.identified, self.reloads)]
        return claims + [verdict.Exact(*one) for one in own]

    def claim_of_calls(self):
        reach = COMMIT_INTERVAL_SECONDS + 2 * self.round_trip()
        risk = loss.at_risk_held(self.calls.records, self.killer.kills, reach)
        sent = dict.fromkeys(self.plan.SUBSCRIPTIONS, Decimal(0))
        for record in self.calls.records:
            sent[record.subscription] += record.events
        [source] = [one for one in self.sources() if one["kind"] == "access-log"]
        return verdict.Shown("calls", self.plan.item_price("calls"), sent, Decimal(source["lost"]), Decimal(risk))

    def gaps(self):
        """{source: gaps}, but of the access log, where each kill may make one and its claim judges what they say, and of
        sent messages, where what a modem shows again after a kill is in doubt."""
        return {one["name"]: one["gaps"] for one in self.sources()
                if one["kind"] != "access-log" and not one["name"].endswith(":sent")}

    def expected_gaps(self):
        return dict.fromkeys(self.final_gaps, 0) | {setup.RELOADED_SET: self.reloads.sent}

    def judge(self):
        billed = verdict.billed_totals(self.sandbox.ledger())
        problems = verdict.compare(self.final_claims, billed)
        problems["gaps"] = verdict.compare_gaps(self.expected_gaps(), self.final_gaps)
        problems["books"] = verdict.compare_balances(self.balances, billed)
        problems["ids"] = verdict.created_twice(self.sandbox.created_ids())
        problems["log"] = [line for line in self.device.log_file.read_text().splitlines() if line.startswith(("<2>", "<3>"))]
        problems["apps"] = [f"memory of apps that ended is left: {self.left}"] if self.left else []
        self.print_table(billed, problems)
        return [f"{name}: {line}" for name, lines in problems.items() for line in lines]

    def print_table(self, billed, problems):
        row = "{:12} {:>40} {:>40} {:>10} {:>10}  {}".format
        print(row("class", "sent", "billed", "missing", "at most", "verdict"))
        for claim in self.final_claims:
            exact = isinstance(claim, verdict.Exact)
            sent = verdict.exact_sum((claim.totals if exact else claim.sent).values())
            total = verdict.exact_sum(value for key, value in billed.items() if key[1] == claim.item_price)
            most = 0 if exact else claim.lost_max
            missing = verdict.EXACT.subtract(sent, total)
            print(row(claim.name, f"{sent:f}", f"{total:f}", missing, most, "WRONG" if problems[claim.name] else "right"))

    def print_summary(self):
        self.killer.print_table()
        [calls] = [claim for claim in self.final_claims if claim.name == "calls"]
        print(f"{self.packets.sent} bursts of packets, {self.reloads.sent} reloads, {self.calls.sent} calls, "
              f"{calls.lost} calls shown as lost, {self.calls.refused} of them refused by the socket, "
              f"{self.messages_.letters.messages} messages, {self.apps.sent} restarts of apps")
        print(f"apps' memory is {'in the store of descriptors' if self.device.store else 'files'}")
        print(f"loss window {COMMIT_INTERVAL_SECONDS} s, longest committed round trip {self.round_trip():.3f} s")


def main():
    more = [("client", None, "count_client, built")]
    options = parse_arguments(__doc__, events=1_000, kills=16, more=more)
    verdict.self_test()
    loss.self_test()
    gateway.enter()
    return run_to_the_verdict(Run, options)


if __name__ == "__main__":
    sys.exit(main())
