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

HERE = pathlib.Path(__file__).resolve().parent
METERS = [("sms.sent", "sent-usd"), ("sms.received", "received-usd")]
SOURCES = "".join(f"""[[source]]
kind = "modem-manager"
event = "sms.{direction}"
direction = "{direction}"
subscription = "sub_1"
modem = "490154203237518"
""" for direction in ("sent", "received"))
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
    <allow receive_sender="*"/></policy>
</busconfig>
"""
RECEIVED, SENDING, SENT = 3, 4, 5
SETTLE_SECONDS = 30
MODEM_MANAGER = "/usr/sbin/ModemManager"


class Bus:
    def __init__(self, directory):
        self.path = pathlib.Path(directory) / "bus"
        self.config = pathlib.Path(directory) / "bus.conf"
        self.config.write_text(BUS.format(path=self.path))
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.path}"}
        self.start()

    def start(self):
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(["dbus-daemon", f"--config-file={self.config}", "--nofork", "--nopidfile"])
        wait_until("the bus listens", self.path.exists, 10)

    def stop(self):
        self.process.kill()
        self.process.wait(10)


class Service:
    def __init__(self, bus, arguments=()):
        self.process = subprocess.Popen(["/usr/bin/python3", str(HERE / "modem_manager.py"), *arguments], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=bus.environment)
        if self.process.stdout.readline() != "ready\n":
            raise Failed("the service did not start")

    def do(self, op, **arguments):
        self.process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the service ended at {op}")
        return json.loads(line)

    def stop(self):
        self.process.kill()
        self.process.wait(10)


def text_of(parts, chance):
    if chance.random() < 0.3:
        return "ж" * (chance.randint(1, 70) if parts == 1 else 67 * (parts - 1) + chance.randint(4, 67))
    return "a" * (chance.randint(0, 160) if parts == 1 else 153 * (parts - 1) + chance.randint(8, 153))


class Run:
    def __init__(self, device, bus, service, chance):
        self.device, self.bus, self.service, self.chance = device, bus, service, chance
        self.truth = {"sent-usd": 0, "received-usd": 0}
        self.final, self.clock, self.messages, self.same = [], 0, 0, 0

    def counted(self):
        sums = dict.fromkeys(self.truth, 0)
        for (_, price, _), row in self.device.balances().items():
            sums[price] += int(row["accepted"])
        return sums

    def settle(self):
        try:
            wait_until("everything is counted", lambda: self.counted() == self.truth, SETTLE_SECONDS, every=0.1)
        except Failed:
            raise Failed(f"counted {self.counted()}, truth {self.truth}, after {self.messages} messages") from None

    def one(self, seen):
        """A message to its end. `seen`: somebody listens; otherwise it is new by its number alone."""
        chance = self.chance
        to_us, parts, signals = chance.random() < 0.5, chance.randint(1, 5), chance.choice((1, 1, 2, 3)) if seen else 0
        self.clock += 1
        text = text_of(parts, chance)
        same = seen and not to_us and chance.random() < 0.3
        if same:  # the same again, to the same number
            text, parts, self.same = "a" * 160, 1, self.same + 1
        handle = self.service.do("make", to_us=to_us, stored=chance.random() < 0.5, signals=signals,
                                 number="+1555" if same else f"+1555{self.clock}",
                                 time=f"2027-01-15T{self.clock:06}+00" if to_us else "",
                                 text=text[:153] if to_us else text)
        if to_us:
            self.service.do("state", handle=handle, state=RECEIVED, text=text, signals=signals)
        else:
            self.service.do("state", handle=handle, state=SENDING, text=None, signals=signals)
            self.service.do("state", handle=handle, state=SENT, text=None, signals=signals)
        self.truth["received-usd" if to_us else "sent-usd"] += parts
        self.messages += 1
        self.final.append(handle)

    def some(self, count, seen=True):
        for _ in range(count):
            self.one(seen)

    def delete_some(self):
        self.settle()
        self.chance.shuffle(self.final)
        for handle in self.final[::3]:
            self.service.do("delete", handle=handle)
        self.final = []  # the others are left to the service, which may lose them

    def restart_service(self):
        self.settle()
        self.final = []
        self.service.do("restart")

    def disable(self):
        self.settle()
        self.final = []
        self.service.do("disable")

    def restart_bus(self):
        self.settle()
        self.final = []
        self.bus.stop()
        self.bus.start()
        self.service.do("restart")

    def kill_with_uncommitted(self):
        self.device.kill()
        self.some(5, seen=False)
        self.device.start(self.bus.environment)

    def kill_with_committed(self):
        self.settle()
        self.device.kill()
        self.service.do("restart")
        self.final = []
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
        while run.messages < messages:
            run.some(run.chance.randint(10, 30))
            events[turn % len(events)]()
            if turn % 10 == 9 and bus_restarts > 0:
                bus_restarts -= 1
                run.restart_bus()
            turn += 1
        run.settle()
        print(f"{run.messages} messages, {run.same} of them the same again, {turn} events: counted {run.counted()}")
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
