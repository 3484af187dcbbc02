"""The processes of a bench: meterd with a configuration of its own, what it is measured against, and the loads."""

import json
import signal
import subprocess
import time

import measure
from harness import STOP_SECONDS, Device, Failed, wait_until

UNREACHABLE = "http://127.0.0.1:1/api/v2"  # nobody listens on port 1
EVENTS = ("sms.sent", "api.call", "data.bytes")
RUN_SECONDS = 120  # no load takes as long
COMMIT_INTERVAL_SECONDS = 10  # the default, which every row keeps


class Meterd(Device):
    """A meterd with the default settings, but for where its files are and how large its journal may be."""

    def __init__(self, bench, name, upstream=None, max_size="64MiB", journal=None):
        super().__init__(bench.program("meterd"), bench.program("meterctl"), bench.directory / name)
        self.journal = journal or self.journal
        self.config_file.write_text(self.settings(upstream, max_size))

    def settings(self, upstream, max_size):
        meters = "".join(f'[[meter]]\nevent = "{event}"\nitem_price = "{event}-usd"\n' for event in EVENTS)
        billing = f"""[[upstream]]
name = "billing"
kind = "chargebee"
url = "{upstream}"
key = {{ file = "{self.directory}/key" }}
"""
        return f"""[device]
id = "gw-bench"
[clock]
trust = "always"
[journal]
directory = "{self.journal}"
max_size = "{max_size}"
[ingest]
socket = "{self.ingest}"
statsd = ["unix:{self.statsd}", "udp:127.0.0.1:{self.udp_port}"]
[api]
listen = ["unix:{self.api}"]
{billing if upstream else ""}{meters}"""

    @property
    def pid(self):
        return self.process.pid

    def status(self):
        return self.get("/status")

    def counted(self):
        return self.status()["counting"]["events"]

    def commits(self):
        return self.status()["journal"]["commits"]

    def wait_until_counted(self, events, seconds=20):
        wait_until(f"meterd has counted {events:,} events", lambda: self.counted() >= events, seconds, every=0.05)
        counting = self.status()["counting"]
        if counting["events"] != events or counting["refused"]:
            raise Failed(f"sent {events:,} events, but meterd says {counting}")

    def commit(self, seal=False):
        """Everything counted is in the journal when it returns; with `seal` it is usages in the outbox."""
        status, body = self.request("POST", "/operator/flush" + ("?seal=now" if seal else ""), timeout=120)
        if status != 200:
            raise Failed(f"POST /operator/flush: {status} {body!r}")

    def cpu(self):
        return measure.settled_cpu_seconds(self.pid)


class Bare:
    """A bare program that serves until it is stopped and prints its totals on demand."""

    def __init__(self, bench, name, *arguments):
        command = [str(bench.program(name)), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if "ready" not in self.process.stdout.readline():
            raise Failed(f"{name} did not start")

    @property
    def pid(self):
        return self.process.pid

    def totals(self):
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def wait_until_counted(self, events, seconds=20):
        wait_until(f"counted {events:,} events", lambda: self.totals()["events"] >= events, seconds, every=0.05)
        if self.totals()["events"] != events:
            raise Failed(f"sent {events:,} events, but the bare program has {self.totals()}")

    def cpu(self):
        return measure.settled_cpu_seconds(self.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(STOP_SECONDS)
        self.process.stdout.close()


def run(bench, name, **options):
    """Runs a load or a bare measurement to its end; what it printed. `in_flight` is its option --in-flight."""
    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    done = subprocess.run([str(bench.program(name)), *words], stdout=subprocess.PIPE, text=True, timeout=RUN_SECONDS)
    if done.returncode != 0:
        raise Failed(f"{name} {' '.join(words)} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def cpu_of(process, work):
    """(processor seconds of `process` for it, what `work` returned)."""
    before = process.cpu()
    result = work()
    return process.cpu() - before, result


def alternate(rounds, *sides):
    """Runs the sides in turn, `rounds` times, each time in the other order: a list of results for each side."""
    results = [[] for _ in sides]
    for number in range(rounds):
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        for side in order:
            results[side].append(sides[side]())
            time.sleep(0.1)
    return results
