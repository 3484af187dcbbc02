#!/usr/bin/python3
"""libmeter, for real: apps that count in shared memory while they and the daemon are killed, and the daemon's store is
emptied. What meterd counted is what the apps say that they added, unit by unit. An app that was killed while it counted
may have added what it was about to note, and nobody else knows: that much, one addition a thread, is left open.

--control NAME breaks something on purpose; then the verdict must say so.
"""

import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from counting_app import App
from harness import Device, Failed, wait_until
from kills import inject
from service_manager import Store

APPS = 4
SPAN_SECONDS = 12
SETTLE_SECONDS = 30


class Run:
    def __init__(self, options, directory):
        self.options, self.random = options, random.Random(options.seed)
        self.device = Device(options.meterd, options.meterctl, directory)
        self.device.write_config([("api.calls", "calls-usd")])
        self.store = self.device.store = Store(self.device.directory) if options.store else None
        self.apps = [App(options.client, self.device, "api.calls", f"sub_{i}") for i in range(APPS)]
        self.stops = 0

    def restart(self, turn):
        """By SIGKILL, and where there is a store now and then by a stop that empties it."""
        stops = self.store and turn % 4 == 3
        if stops:
            self.stops += 1
            if self.device.terminate() != 0:
                raise Failed("meterd did not stop in peace\n" + self.device.log_tail())
            self.store.forget()
        else:
            self.device.kill()
        time.sleep(self.random.uniform(0, 0.3))  # the apps go on without it
        self.device.start()
        if stops:  # what an app that ends before it gave its memory back had added since, nobody knows
            living = sum(app.process.poll() is None for app in self.apps)
            wait_until("the apps give their memory back", lambda: len(self.store.names()) >= 2 * living, 20)

    def kill_while_memory_is_made(self):
        """Before the names of its counters, between these and the memory, and before its app is told of it."""
        for call, nth in [("sendmsg", n) for n in (2, 3, 4)] if self.store else [("ftruncate", 1), ("ftruncate", 2)]:
            process = self.device.process
            tracer = subprocess.Popen([*inject(call, nth), "-p", str(process.pid)])
            status = pathlib.Path(f"/proc/{process.pid}/status")
            wait_until("strace is attached", lambda: "TracerPid:\t0\n" not in status.read_text(), 20)
            self.apps[0].start()
            process.wait(20)
            tracer.wait(20)
            self.apps[0].kill()
            self.device.start()

    def kill_apps_and_daemon(self):
        for app in self.apps:
            app.start()
        pause = SPAN_SECONDS / self.options.kills
        for turn in range(self.options.kills):
            time.sleep(self.random.uniform(0.2, 1.8) * pause)
            app = self.random.choice(self.apps)
            if turn % 3 == 0:
                app.park()
            if turn % 3 != 2:
                app.kill()
            self.restart(turn)
            if turn % 3 != 2:
                app.start()

    def end(self):
        for app in self.apps:
            app.park()
        if self.options.control == "lose-memory":
            self.device.kill()
            for app in self.apps:
                app.kill()
            for path in (self.device.directory / "counters").iterdir():
                path.unlink()
            self.device.start()
        for app in self.apps:
            app.kill()

    def counted(self):
        rows = self.device.balances()
        return {app.subscription: sum(int(row["accepted"]) for key, row in rows.items() if key[0] == app.subscription) for app in self.apps}

    def left(self):
        if self.store:
            return [name for name in self.store.names() if name.startswith("meterd-counters-")]
        return [path.name for path in (self.device.directory / "counters").glob("*")]

    def verdict(self):
        wait_until("the memory of apps that ended is dropped", lambda: not self.left(), SETTLE_SECONDS, every=0.1)
        counted = self.counted()
        problems, open_units = [], 0
        for app in self.apps:
            least, most = app.truth()
            if self.options.control == "wrong-truth":
                least, most = least + 50, most + 50
            open_units += most - least
            if not least <= counted[app.subscription] <= most:
                problems.append(f"{app.subscription}: counted {counted[app.subscription]}, added {least} to {most}")
        gaps = sum(source.get("gaps", 0) for source in self.device.get("/status")["counting"]["sources"])
        if gaps:
            problems.append(f"{gaps} gaps where none should be: {self.device.get('/status')['counting']['sources']}")
        code, text = self.device.ctl("verify")
        if code != 0:
            problems.append(f"meterctl verify: {code}: {text}")
        problems += [line for line in self.device.log_file.read_text().splitlines() if line.startswith("<3>")]
        total = sum(counted.values())
        if total < 100_000:
            problems.append(f"only {total} units were counted: this run proves little")
        print(f"{total} units counted, {open_units} of them open; {self.options.kills} restarts, {self.stops} of them stops")
        return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--meterd", "--meterctl", "--client"):
        parser.add_argument(name, required=True)
    parser.add_argument("--sandbox")
    parser.add_argument("--store", action="store_true", help="with a store of file descriptors, as under systemd")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int.from_bytes(random.randbytes(4), "big"))
    parser.add_argument("--control", choices=["wrong-truth", "lose-memory"])
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="meterd-libmeter-", dir="/dev/shm") as directory:
        run = Run(options, pathlib.Path(directory))
        try:
            run.device.start()
            run.kill_while_memory_is_made()
            run.kill_apps_and_daemon()
            run.end()
            problems = run.verdict()
        except Failed as failure:
            problems = [str(failure)]
        finally:
            for app in run.apps:
                if app.process and app.process.poll() is None:
                    app.kill()
            run.device.stop()
            if run.store:
                run.store.close()
        if problems and not options.control:
            print("\n".join(problems), run.device.log_tail(60), sep="\n")
    if options.control:
        print("\n".join(problems) or "the control was not noticed")
        return 0 if problems else 1
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
