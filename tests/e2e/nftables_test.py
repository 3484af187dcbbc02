#!/usr/bin/python3
"""Data bytes of nftables and of an interface, with real packets in namespaces of their own: what is counted equals what
was sent, to the byte, through SIGKILLs at random moments, reloads of the rules and an interface that is made anew; and
where it cannot, the gap that is told holds what is missing.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import gateway
import harness
from harness import Failed, wait_for_rest, wait_until

SUBSCRIBERS = {"10.0.0.2": "sub_2", "10.0.0.3": "sub_3", "10.0.0.4": "sub_4"}
STRANGER = "10.0.0.99"
RATE_MAX = 200_000_000  # bytes a second: far above what the sender manages
KILLS = 20
COUNT_SECONDS = 15
REST_SECONDS = 2.5  # two readings
READ_ELEMENTS, READS = 10_000, 200

RULES = """
table inet meterd {
  set subscribers { type ipv4_addr; flags dynamic; counter; size 1024; }
  counter wwan { }
  chain from_subscribers {
    type filter hook prerouting priority raw
    udp dport 9 counter name wwan update @subscribers { ip saddr } drop
  }
}
"""
RELOAD = "table inet meterd\ndelete table inet meterd\n" + RULES

SOURCES = """
[[source]]
kind = "nftables"
table = "meterd"
set = "subscribers"
event = "data.bytes"
subscribers = {{ {subscribers} }}
interval = "1s"
bytes_per_second_max = "{rate}"
[[source]]
kind = "nftables"
table = "meterd"
counter = "wwan"
event = "all.bytes"
subscription = "sub_all"
interval = "1s"
bytes_per_second_max = "{rate}"
[[source]]
kind = "interface"
name = "wwan0"
event = "link.bytes"
subscription = "sub_link"
direction = "rx"
"""


class Run:
    def __init__(self, options, directory):
        self.options, self.directory = options, pathlib.Path(directory)
        self.device = harness.Device(options.meterd, options.meterctl, directory)
        pairs = ", ".join(f'"{key}" = "{value}"' for key, value in SUBSCRIBERS.items())
        meters = [("data.bytes", "data-usd"), ("all.bytes", "all-usd"), ("link.bytes", "link-usd")]
        self.device.write_config(meters, sources=SOURCES.format(subscribers=pairs, rate=RATE_MAX),
                                 commit_interval="100ms")
        self.draws = random.Random(options.seed)
        self.lan = gateway.Lan([*SUBSCRIBERS, STRANGER])
        self.base = {}

    # What was sent, and what was counted.

    def sent(self):
        out = {name: self.lan.bytes_of[address] for address, name in SUBSCRIBERS.items()}
        out["sub_all"] = sum(self.lan.bytes_of.values())
        out["sub_link"] = self.lan.link_bytes
        return out

    def counted(self):
        out = dict.fromkeys([*SUBSCRIBERS.values(), "sub_all", "sub_link"], 0)
        for (subscription, _, _), row in self.device.balances().items():
            out[subscription] += int(row["accepted"])
        return out

    def missing(self):
        counted, sent = self.counted(), self.sent()
        return {name: sent[name] - self.base.get(name, 0) - counted[name] for name in counted}

    def expect_all(self, what):
        """All that was sent is counted, soon, and nothing more is after that."""
        missing = {}

        def none():
            missing.update(self.missing())
            return not any(missing.values())

        try:
            wait_until(what, none, COUNT_SECONDS, every=0.1)
        except Failed as failed:
            raise Failed(f"{failed}; missing: {missing}\n{self.device.log_tail()}") from None
        time.sleep(1.2)  # one more reading
        if any(self.missing().values()):
            raise Failed(f"{what}: counted twice: {self.missing()}")

    def settle(self):
        """Until two readings in a row have counted nothing new."""
        wait_for_rest("counting comes to rest", self.counted, REST_SECONDS, COUNT_SECONDS)

    def report(self, name):
        sources = self.device.get("/status")["counting"]["sources"]
        return next(one for one in sources if one["name"].startswith(name))

    def gaps(self):
        return self.report("nftables:inet:meterd:subscribers")["gaps"]

    # The phases.

    def find_the_starting_point(self):
        """The first sight counts nothing; the truth begins with the first packet that is counted for everybody."""
        gateway.run("nft", "-f", "-", text=RULES)
        self.device.start()

        def all_seen():
            for address in self.lan.addresses:
                self.lan.send(address, 100)
            return all(self.counted().values())

        wait_until("every source counts", all_seen, COUNT_SECONDS, every=0.2)
        self.settle()
        counted, sent = self.counted(), self.sent()
        self.base = {name: sent[name] - counted[name] for name in counted}
        if self.gaps() != 0:
            raise Failed("a gap before anything happened")

    def kill_under_traffic(self):
        with gateway.Traffic(self.lan, self.options.seed):
            for _ in range(KILLS):
                time.sleep(self.draws.uniform(0.02, 1.3))
                self.device.kill()
                time.sleep(self.draws.uniform(0, 0.2))
                self.device.start()
        self.expect_all("what was sent through the kills is counted")
        if self.gaps() != 0:
            raise Failed(f"a kill is no gap: {self.report('nftables')}")
        strange = [f"1 elements of no subscriber, with {self.lan.bytes_of[STRANGER]} bytes"]
        wait_until(f"the status shows {strange}",
                   lambda: self.report("nftables:inet:meterd:subscribers")["blind_spots"] == strange, COUNT_SECONDS, 0.1)
        return f"{KILLS} kills, {self.lan.link_bytes} bytes"

    def reload_in_silence(self):
        """Less each time: a counter that is no lower than before may have been loaded with its count, which is in doubt."""
        for reloads in range(1, 4):
            gateway.run("nft", "-f", "-", text=RELOAD)
            for address in self.lan.addresses:
                self.lan.send(address, 500, 400 - 100 * reloads)
            self.expect_all("what came after the reload is counted")
            if self.gaps() != reloads:
                raise Failed(f"{reloads} reloads, {self.gaps()} gaps")
        return "3 reloads"

    def delete_an_element(self):
        gaps = self.gaps()
        gateway.run("nft", "delete element inet meterd subscribers { 10.0.0.2 }")
        wait_until("the deleted element is told", lambda: self.gaps() == gaps + 1, COUNT_SECONDS, every=0.1)
        recent = self.report("nftables:inet:meterd:subscribers")["recent_gaps"][-1]
        if recent["what"] != "1 elements gone" or "10.0.0" in json.dumps(recent):
            raise Failed(f"told as {recent}")
        self.lan.send("10.0.0.2", 1000, 50)
        self.expect_all("the element that came back is counted from zero")
        return "1 deletion"

    def make_the_interface_anew(self):
        for _ in range(2):
            self.lan.remove_link()
            self.lan.make_link()
            for address in self.lan.addresses:
                self.lan.send(address, 700, 40)
            self.expect_all("what passed the new interface is counted")
        return "2 interfaces"

    def reload_under_traffic(self):
        names = {"sub_all": "nftables:inet:meterd:wwan", "sub": "nftables:inet:meterd:subscribers"}
        before = {key: self.report(name)["gaps"] for key, name in names.items()}
        with gateway.Traffic(self.lan, self.options.seed + 1):
            for _ in range(5):
                time.sleep(self.draws.uniform(0.7, 2.0))
                gateway.run("nft", "-f", "-", text=RELOAD)
        self.settle()
        missing = self.missing()
        lost = {"sub_all": missing["sub_all"], "sub": sum(missing[name] for name in SUBSCRIBERS.values())}
        for key, name in names.items():
            report = self.report(name)
            gaps = report["recent_gaps"][before[key] - report["gaps"]:]
            bound = sum(int(gap["lost_max"]) for gap in gaps)
            if not 0 <= lost[key] <= bound or min(missing.values()) < 0:
                raise Failed(f"{name}: {lost[key]} bytes are missing, the gaps say up to {bound}: {missing}")
        if missing["sub_link"] != 0:
            raise Failed(f"the rules are no business of the interface: {missing['sub_link']}")
        if lost["sub_all"] == 0:
            raise Failed("nothing was lost: the reloads were no test")
        self.base = {name: self.base[name] + missing[name] for name in missing}
        return f"5 reloads, {lost['sub_all']} bytes missing within the gaps"

    def say_what_is_wrong(self):
        gateway.run("nft", "delete table inet meterd")
        wait_until("the missing table is told", lambda: self.report("nftables")["trouble"], COUNT_SECONDS, every=0.1)
        self.expect_trouble("there is no table meterd")
        gateway.run("nft", "-f", "-", text=RULES)
        wait_until("the table is found", lambda: not self.report("nftables")["trouble"], COUNT_SECONDS, every=0.1)
        self.lan.send("10.0.0.3", 300, 10)
        self.expect_all("what came after the table is counted")
        self.device.terminate()
        self.device.spawn(below=["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"])
        wait_until("meterd answers", self.device._healthy, harness.READY_SECONDS)
        wait_until("the missing capability is told", lambda: self.report("nftables")["trouble"], COUNT_SECONDS, every=0.1)
        self.expect_trouble("CAP_NET_ADMIN")
        self.device.terminate()
        self.device.start()
        self.lan.send("10.0.0.3", 300, 10)
        self.expect_all("what came meanwhile is counted")
        code, text = self.device.ctl("verify")
        if code != 0:
            raise Failed(f"verify: {text}")
        self.device.terminate()
        return "told, and over"

    def expect_trouble(self, what):
        code, text = self.device.ctl("doctor")
        if code != 4 or what not in text or "10.0.0" in text:
            raise Failed(f"the doctor ({code}) says: {text}")
        log = self.device.log_file.read_text()
        if what not in log or any(address in log for address in SUBSCRIBERS):
            raise Failed(f"the log says: {self.device.log_tail()}")

    def read_a_large_set(self):
        gateway.run("nft", "-f", "-", text="table inet large {\nset many {\ntype ipv4_addr\ncounter\nsize 65536\n}\n}\n")
        for first in range(0, READ_ELEMENTS, 1000):  # as much as an unprivileged socket takes at once
            some = ", ".join(f"10.1.{i >> 8}.{i & 255}" for i in range(first, first + 1000))
            gateway.run("nft", "-f", "-", text=f"add element inet large many {{ {some} }}\n")
        done = subprocess.run([self.options.reader, "inet", "large", "many", str(READS)], capture_output=True, text=True,
                              timeout=60)
        if done.returncode != 0:
            raise Failed(f"reading {READ_ELEMENTS} elements: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    PHASES = (find_the_starting_point, kill_under_traffic, reload_in_silence, delete_an_element, make_the_interface_anew,
              reload_under_traffic, say_what_is_wrong, read_a_large_set)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for program in ("meterd", "meterctl", "reader"):
        parser.add_argument("--" + program, required=True)
    parser.add_argument("--sandbox")  # the other tests'
    parser.add_argument("--seed", type=int, default=int.from_bytes(b"nft", "big"))
    options = parser.parse_args()
    gateway.enter()
    with tempfile.TemporaryDirectory() as directory:
        run = Run(options, directory)
        try:
            for phase in Run.PHASES:
                began = time.monotonic()
                print(f"{phase.__name__}: ", end="", flush=True)
                print(phase(run) or "done", f"({time.monotonic() - began:.1f} s)")
        except (Failed, RuntimeError) as failed:
            print(f"FAILED, seed {options.seed}: {failed}")
            return 1
        finally:
            run.device.stop()
            run.lan.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
