"""A private system bus, and on it a service with ModemManager's shape (modem_manager.py), which a test sends and receives
messages with."""

import json
import os
import pathlib
import subprocess

from harness import Failed, wait_until

PROGRAM = pathlib.Path(__file__).resolve().parent / "modem_manager.py"
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


class Bus:
    def __init__(self, directory):
        self.path = pathlib.Path(directory) / "bus"
        self.config = pathlib.Path(directory) / "bus.conf"
        self.config.write_text(BUS.format(path=self.path))
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.path}"}
        self.start()

    def start(self):
        self.path.unlink(missing_ok=True)
        with open(self.config.with_name("bus.log"), "ab") as log:
            self.process = subprocess.Popen(["dbus-daemon", f"--config-file={self.config}", "--nofork", "--nopidfile"],
                                            stderr=log)
        wait_until("the bus listens", self.path.exists, 10)

    def stop(self):
        self.process.kill()
        self.process.wait(10)


class Service:
    def __init__(self, bus, arguments=()):
        self.process = subprocess.Popen(["/usr/bin/python3", str(PROGRAM), *arguments], text=True,
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


class Letters:
    """Messages of 1 to 5 parts through the service, and how many parts were truly sent and received."""

    def __init__(self, service, chance):
        self.service, self.chance = service, chance
        self.truth = {"sent": 0, "received": 0}
        self.messages = self.same = 0
        self.repeated = "+1555"  # whom the same is sent again and again
        self._final = {}  # of what is sent or received and may be deleted: handle -> whether it is stored

    def __str__(self):
        return f"{self.truth} after {self.messages} messages"

    def one(self, has_signals=True, may_repeat=False):
        """A message to its end. `may_repeat`: the same may go to the same number; otherwise it is new by its number."""
        chance = self.chance
        to_us, parts = chance.random() < 0.5, chance.randint(1, 5)
        signals = chance.choice((1, 1, 2, 3)) if has_signals else 0
        self.messages += 1
        text, number = text_of(parts, chance), f"+1555{self.messages}"
        if may_repeat and not to_us and chance.random() < 0.3:  # the same again, to the same number
            text, number, parts, self.same = "a" * 160, self.repeated, 1, self.same + 1
        stored = chance.random() < 0.5
        handle = self.service.do("make", to_us=to_us, stored=stored, signals=signals, number=number,
                                 time=f"2027-01-15T{self.messages:06}+00" if to_us else "",
                                 text=text[:153] if to_us else text)
        if to_us:
            self.service.do("state", handle=handle, state=RECEIVED, text=text, signals=signals)
        else:
            self.service.do("state", handle=handle, state=SENDING, text=None, signals=signals)
            self.service.do("state", handle=handle, state=SENT, text=None, signals=signals)
        self.truth["received" if to_us else "sent"] += parts
        self._final[handle] = stored

    # What must not happen before all is counted: nobody could know of it afterwards.

    def delete_some(self):
        self.delete_but(len(self._final) * 2 // 3)

    def delete_but(self, count):
        """The others go, whichever they are. meterd remembers a limited number of those that are there."""
        for handle in self.chance.sample(list(self._final), max(0, len(self._final) - count)):
            self.service.do("delete", handle=handle)
            del self._final[handle]

    def restart(self):
        self._lose_what_is_not_stored("restart")

    def disable(self):
        self._lose_what_is_not_stored("disable")

    def _lose_what_is_not_stored(self, op):
        self._final = {handle: stored for handle, stored in self._final.items() if stored}
        self.service.do(op)
