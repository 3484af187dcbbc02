#!/usr/bin/python3
"""Short messages over D-Bus: a private bus, a ModemManager-shaped service, the real daemon.

1,000 messages of 1 to 5 parts are sent and received while signals repeat or are lost, the service starts again (paths
begin anew, stored messages come back), the bus starts again and meterd is killed or stopped. What is counted must be
exactly what was sent and received. `--control`: the service shows stored messages with another time, so that nothing
can tell them from new ones, and the verdict must notice. Without it, the real ModemManager starts beside meterd, too.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

from harness import Device, Failed, wait_until
from modem_bus import RECEIVED, Bus, Letters, Service

METERS = [("sms.sent", "sent-usd"), ("sms.received", "received-usd")]
SOURCES = "".join(f"""[[source]]
kind = "modem-manager"
event = "sms.{direction}"
direction = "{direction}"
subscription = "sub_1"
modem = "490154203237518"
""" for direction in ("sent", "received"))
SETTLE_SECONDS = 30
MODEM_MANAGER = "/usr/sbin/ModemManager"


class Run:
    def __init__(self, device, bus, service, chance):
        self.device, self.bus, self.service, self.chance = device, bus, service, chance
        self.letters = Letters(service, chance)

    def counted(self):
        sums = dict.fromkeys(self.letters.truth, 0)
        for (_, price, _), row in self.device.balances().items():
            sums[price.removesuffix("-usd")] += int(row["accepted"])
        return sums

    def settle(self):
        try:
            wait_until("everything is counted", lambda: self.counted() == self.letters.truth, SETTLE_SECONDS, every=0.1)
        except Failed:
            raise Failed(f"counted {self.counted()}, truth {self.letters}") from None

    def some(self, count, seen=True):
        for _ in range(count):
            self.letters.one(seen, may_repeat=seen)

    def delete_some(self):
        self.settle()
        self.letters.delete_some()

    def restart_service(self):
        self.settle()
        self.letters.restart()

    def disable(self):
        self.settle()
        self.letters.disable()

    def restart_bus(self):
        self.settle()
        self.bus.stop()
        self.bus.start()
        self.letters.restart()

    def kill_with_uncommitted(self):
        self.device.kill()
        self.some(5, seen=False)
        self.device.start(self.bus.environment)

    def kill_with_committed(self):
        self.settle()
        self.device.kill()
        self.letters.restart()
        self.some(5, seen=False)
        self.device.start(self.bus.environment)

    def stop_politely(self):
        if self.device.terminate() != 0:
            raise Failed("SIGTERM did not end with 0")
        self.some(5, seen=False)
        self.device.start(self.bus.environment)


def check_everything(device, bus, seed, arguments, messages):
    service = Service(bus, arguments)
    try:
        service.do("make", to_us=True, stored=True, number="+1", time="old", text="from before", signals=1)
        service.do("state", handle=0, state=RECEIVED, text="from before", signals=1)
        device.start(bus.environment)
        run = Run(device, bus, service, random.Random(seed))
        wait_until("the starting point is set", lambda: ready(device), SETTLE_SECONDS)
        run.some(1)
        run.settle()  # with it, the starting point is committed
        events = [run.kill_with_uncommitted, run.restart_service, run.kill_with_committed, run.disable, run.delete_some,
                  run.stop_politely]
        turn, bus_restarts = 0, 3
        while run.letters.messages < messages:
            run.some(run.chance.randint(10, 30))
            events[turn % len(events)]()
            if turn % 10 == 9 and bus_restarts > 0:
                bus_restarts -= 1
                run.restart_bus()
            turn += 1
        run.settle()
        print(f"{run.letters.messages} messages, {run.letters.same} of them the same again, {turn} events: counted {run.counted()}")
    finally:
        device.stop()
        service.stop()


def sources(device):
    return device.get("/status")["counting"]["sources"]


def ready(device):
    return all(not one["trouble"] for one in sources(device))


def check_real(device, bus):
    """ModemManager itself, without a modem, beside meterd; then the bus goes and comes back."""
    device.start(bus.environment)
    wait_until("meterd says that there is no ModemManager", lambda: troubles(device, "not running"), SETTLE_SECONDS)
    said = open(device.directory / "modemmanager.log", "w+")
    manager = subprocess.Popen([MODEM_MANAGER], env=bus.environment, stdout=said, stderr=said)
    try:
        wait_until("meterd says that there is no modem", lambda: troubles(device, "no modem"), SETTLE_SECONDS)
        bus.stop()
        wait_until("meterd says that there is no bus", lambda: troubles(device, "cannot be reached"), SETTLE_SECONDS)
        bus.start()
        wait_until("meterd is on the new bus", lambda: troubles(device, "not running"), SETTLE_SECONDS)
    finally:
        manager.kill()
        manager.wait(10)
    if device.terminate() != 0:
        raise Failed("SIGTERM did not end with 0")
    said.seek(0)
    bad = [line for line in said.read().splitlines() if "<err>" in line or "<error>" in line or "meterd" in line]
    bad += [line for line in device.log_file.read_text().splitlines() if line.startswith(("<3>", "<2>"))]
    if bad:
        raise Failed("errors were logged:\n" + "\n".join(bad))


def troubles(device, text):
    return all(text in one["trouble"] for one in sources(device))


def private(device):
    """No number and no text may be in the log or in the journal."""
    for path in [device.log_file, *device.journal.rglob("*")]:
        if path.is_file():
            content = path.read_bytes()
            for piece in (b"+1555", b"aaaaaaaa", "жжжж".encode(), b"490154203237518"):
                if piece in content:
                    raise Failed(f"{path.name} holds {piece!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meterd", required=True)
    parser.add_argument("--meterctl", required=True)
    parser.add_argument("--sandbox")
    parser.add_argument("--seed", type=int, default=20270115)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--control", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="meterd-modem-") as directory:
        bus = Bus(directory)
        try:
            device = Device(options.meterd, options.meterctl, pathlib.Path(directory) / "device")
            device.write_config(METERS, sources=SOURCES)
            try:
                check_everything(device, bus, options.seed, ["--other-times"] if options.control else [],
                                 100 if options.control else options.messages)
            except Failed as failed:
                if options.control and "truth" in str(failed):
                    print(f"noticed, as it must be: {failed}")
                    return 0
                raise
            if options.control:
                raise Failed("messages were counted twice, and nothing noticed")
            private(device)
            if pathlib.Path(MODEM_MANAGER).exists():
                other = Device(options.meterd, options.meterctl, pathlib.Path(directory) / "other")
                other.write_config(METERS, sources=SOURCES)
                try:
                    check_real(other, bus)
                finally:
                    other.stop()
            else:
                raise Failed("ModemManager is not installed: run platform/deps")
        except Failed as failed:
            print(f"FAILED: {failed}\n{device.log_tail()}")
            return 1
        finally:
            bus.stop()
    print("fine")
    return 0


sys.exit(main())
