"""What the end-to-end tests share: waiting, the billing sandbox, and a device: the daemon, its files, its API.

Everything of a device is in one directory; nothing under /run or /var/lib is touched. Readiness is always polled with
a deadline, never slept for.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time
import urllib.parse

import activation

KEY = "test_key"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 20
STOP_SECONDS = 20


class Failed(Exception):
    """The device did not do what its contract says; the message is for the person who reads the log."""


def wait_until(what, check, seconds, every=0.02):
    """Polls `check` until it is true and returns its value; raises after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(every)


def wait_for_rest(what, value, rest_seconds, seconds):
    """Until `value` has not changed for so long."""
    last, since = value(), time.monotonic()

    def rests():
        nonlocal last, since
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= rest_seconds

    wait_until(what, rests, seconds, every=0.1)


def free_port(kind=socket.SOCK_STREAM):
    """Of those below which the kernel takes none for outgoing connections: it stays free while nothing listens on it. And
    above those that the Fetch standard blocks, as node does."""
    outgoing = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(100):
        port = random.SystemRandom().randrange(10_081, max(outgoing, 12_000))
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Failed("no port is free")


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)  # blocking: a full backlog is waited for
        self.sock.settimeout(self.timeout)


class Sandbox:
    """The billing sandbox as a process on a loopback port; its ledger file is read as evidence."""

    def __init__(self, program, directory, port=0, faults=None, arguments=()):
        self.ledger_file = pathlib.Path(directory) / "billed.jsonl"
        self._log = open(pathlib.Path(directory) / "sandbox.log", "ab")
        command = [str(program), "--listen", f"127.0.0.1:{port}", "--key", KEY, "--ledger", str(self.ledger_file)]
        command += [str(argument) for argument in arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        line = self._process.stdout.readline()
        match = re.fullmatch(r"listening on .+:([0-9]+)\n", line)
        if not match:
            self.stop()
            raise Failed(f"the sandbox did not start: {line!r}, see sandbox.log")
        self.port = int(match.group(1))
        if faults:
            self.set_faults(faults)

    def _control(self, method, name, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, "/_sandbox/" + name, body)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise Failed(f"sandbox {name}: {answer.status} {text!r}")
            return json.loads(text)

    def set_faults(self, spec):
        self._control("POST", "faults", json.dumps(spec) if spec else b"")

    def steer(self, name, **values):
        """A control call that changes something: invoice, alter, forget, redirect (tests/sandbox/README.md)."""
        return self._control("POST", f"{name}?{urllib.parse.urlencode(values)}")

    def requests(self):
        """The API requests and downloads so far, with what was answered."""
        return self._control("GET", "requests")["requests"]

    def ledger(self):
        return self._control("GET", "ledger")

    def created_ids(self):
        """The ids of every charge ever applied, deleted ones too, from the ledger's file."""
        lines = [json.loads(line) for line in self.ledger_file.read_text().splitlines()]
        return [line["usage"]["id"] for line in lines if line["op"] == "create"]

    def stop(self):
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
        self._process.stdout.close()
        self._log.close()


class Device:
    """One meterd with its journal, sockets, configuration and log below `directory`."""

    def __init__(self, meterd, meterctl, directory):
        self.meterd, self.meterctl = str(meterd), str(meterctl)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config_file = self.directory / "meterd.toml"
        self.log_file = self.directory / "meterd.log"
        self.journal = self.directory / "journal"
        self.ingest, self.statsd, self.api = (self.directory / f"{name}.sock" for name in ("ingest", "statsd", "api"))
        self.udp_port = free_port(socket.SOCK_DGRAM)
        self.tcp_port = free_port()
        key = self.directory / "key"
        key.touch(mode=0o600)
        key.write_text(KEY + "\n")
        self.process = None
        self.environment = None  # of each process; None: the test's
        self.held = []  # sockets that are passed to each process, as systemd passes those of a .socket unit
        self.store = None  # of descriptors, as systemd's (service_manager.py)

    # Configuration.

    def config(self, meters, upstream_port=None, sources="", commit_interval="200ms", device="gw-e2e", seal="2s",
               over_tcp=False):
        """`meters`: (event, item price) pairs; they carry their subscription in each event. `over_tcp`: the device's
        own APIs take KEY over TCP."""
        upstream = f"""[[upstream]]
name = "billing"
kind = "chargebee"
url = "http://127.0.0.1:{upstream_port}/api/v2"
key = {{ file = "{self.directory}/key" }}
seal = "{seal}"
"""
        rules = "".join(f'[[meter]]\nevent = "{event}"\nitem_price = "{price}"\n' for event, price in meters)
        return f"""[device]
id = "{device}"
[clock]
trust = "always"
[journal]
directory = "{self.journal}"
commit_interval = "{commit_interval}"
[ingest]
socket = "{self.ingest}"
statsd = ["unix:{self.statsd}", "udp:127.0.0.1:{self.udp_port}"]
[api]
listen = ["unix:{self.api}", "127.0.0.1:{self.tcp_port}"]
{f'chargebee_key = {{ file = "{self.directory}/key" }}' if over_tcp else ""}
{upstream if upstream_port else ""}{rules}{sources}"""

    def write_config(self, *arguments, **options):
        self.config_file.write_text(self.config(*arguments, **options))

    # The process.

    def spawn(self, environment=None, stderr=None, below=()):
        """`below`: a command that runs the daemon in its own place, such as strace -D."""
        with open(self.log_file, "ab") as log, activation.passing(self.held, self.store) as (above, kept):
            command = [*above, *below, self.meterd, "--config", str(self.config_file)]
            environment = dict(environment or self.environment or os.environ)
            environment |= self.store.environment() if self.store else {}
            self.process = subprocess.Popen(command, stdout=log, stderr=stderr or log, env=environment, pass_fds=kept)

    def start(self, environment=None, below=()):
        """Seconds from exec to the first answer on /healthz."""
        began = time.monotonic()
        self.spawn(environment, below=below)
        wait_until("GET /healthz answers 200", self._healthy, READY_SECONDS, every=0.003)
        return time.monotonic() - began

    def _healthy(self):
        if self.process.poll() is not None:
            raise Failed(f"meterd ended with {self.process.returncode} at its start\n{self.log_tail()}")
        try:
            return self.get("/healthz", timeout=2) is not None
        except (OSError, http.client.HTTPException):
            return False

    def kill(self):
        """SIGKILL; returns the moments before the signal and after the end."""
        before = time.monotonic()
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        return before, time.monotonic()

    def terminate(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"meterd did not end within {STOP_SECONDS} s of SIGTERM\n{self.log_tail()}") from None

    def stop(self):
        """For the end of a test, whatever happened."""
        if self.process and self.process.poll() is None:
            self.kill()

    def run_to_end(self, *arguments, seconds=STOP_SECONDS):
        """Runs meterd to its end: (exit code, its output)."""
        command = [self.meterd, "--config", str(self.config_file), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        return done.returncode, done.stdout + done.stderr

    def log_tail(self, lines=30):
        if not self.log_file.exists():
            return "(no log)"
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    # The API.

    def request(self, method, path, body=None, headers=(), timeout=30):
        """(status, body) over the API's unix socket."""
        with contextlib.closing(UnixConnection(self.api, timeout)) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before it was sent whole
                connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def get(self, path, timeout=30):
        status, body = self.request("GET", path, timeout=timeout)
        return json.loads(body) if status == 200 else None

    def balances(self):
        """{(subscription, item price, day): the row} of everything ever counted."""
        rows = self.get("/operator/balances")["balances"]
        return {(row["subscription_id"], row["item_price_id"], row["usage_day"]): row for row in rows}

    def ctl(self, *arguments, seconds=60):
        """(exit code, output) of meterctl."""
        command = [self.meterctl, "--socket", str(self.api), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        return done.returncode, done.stdout + done.stderr

    def drain(self, seconds, but=()):
        """Seals and sends everything; returns when buckets and outbox are empty, `but` for usages in those states."""
        code, text = self.ctl("flush", "--now")
        if code != 0:
            raise Failed(f"meterctl flush --now ended with {code}: {text}")
        last_flush = time.monotonic()

        def empty():
            nonlocal last_flush
            left = [row for row in self.get("/operator/outbox")["outbox"] if row["state"] not in but]
            if left or self.get("/operator/buckets")["buckets"]:
                if time.monotonic() - last_flush > 1:
                    self.ctl("flush")
                    last_flush = time.monotonic()
                return False
            return True

        wait_until("the buckets and the outbox are empty", empty, seconds, every=0.1)
