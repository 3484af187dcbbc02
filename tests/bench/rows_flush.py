"""How fast usages leave once the upstream is back: Twilio's V1, where many items go in one request, on the loopback."""

import contextlib
import http.client
import json
import time
from decimal import Decimal

import measure
import programs
import twilio
from harness import ROOT, Sandbox, free_port, wait_until
from table import Figure, Row
from verdict import exact_sum

INSTALLATIONS, ITEMS = 100, 100
USAGES = INSTALLATIONS * ITEMS
BATCH = 100
USAGES_A_SECOND = 2_000
GROWTH_MB = 3.0
MAX_SIZE = "512MiB"
DRAIN_SECONDS = 60
POLL_SECONDS = 0.005
QUANTITIES_SUM = sum(range(1, ITEMS + 1)) * INSTALLATIONS


def rows(bench):
    with contextlib.ExitStack() as stack:
        device = Marketplace(bench, stack)
        before_mb = measure.rss_anon_mb(device.pid)
        device.flush()  # the first one makes the memory that all others use
        begun_mb = measure.rss_anon_mb(device.pid)
        ours, theirs = programs.alternate(bench.pick(quick=3, full=7), device.flush, device.flush_barely)
        rates, costs, peaks = (Figure(list(values)) for values in zip(*ours))
        name = f"{USAGES:,} waiting usages of {INSTALLATIONS} installations leave, {BATCH} a request"
        bound = {"judged": "meterd", "limit": USAGES_A_SECOND, "at_least": True}
        yield Row(name, "usages/s", rates, Figure(theirs), "a client that only sends", **bound)
        yield Row(name, "CPU us", costs)
        grown = Figure([peak - begun_mb for peak in peaks.values])
        most_mb = max(peaks.values)
        note = f"{before_mb:.1f} MB idle, {begun_mb:.1f} MB after the first {USAGES:,}, at most {most_mb:.1f} MB"
        name = f"RssAnon, while {USAGES:,} usages leave (growth since the first {USAGES:,})"
        yield Row(name, "MB", grown, judged="meterd", limit=GROWTH_MB, note=note)


class Marketplace(programs.Meterd):
    """A running meterd whose upstream is away until it flushes."""

    def __init__(self, bench, stack):
        self._port = free_port()
        self._token = twilio.write_token(bench.directory)
        super().__init__(bench, "flush", max_size=MAX_SIZE)
        self._places = (bench.directory / f"flush-{number}" for number in range(1_000))
        self.start()
        stack.callback(self.stop)

    def settings(self, upstream, max_size):
        text = super().settings(upstream, max_size)
        own = twilio.upstream("marketplace", twilio.V1, self._port, self._token, batch=BATCH)
        return text[: text.index("[[meter]]")] + own

    def flush(self):
        """(usages a second, processor microseconds of each, the most RssAnon meanwhile in MB)."""
        self._wait_with_all()
        with self._upstream() as sandbox:
            cpu, (usages, rate, most_mb) = programs.cpu_of(self, self._leave)
            check(sandbox)
        return rate, cpu / usages * 1e6, most_mb

    def flush_barely(self):
        """Usages a second of a client with all requests ready and one connection: what the upstream can take."""
        ready = [(path_of(number), body_of()) for number in range(INSTALLATIONS)]
        with self._upstream() as sandbox:
            connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=DRAIN_SECONDS)
            began = time.monotonic()
            for path, body in ready:
                connection.request("POST", path, body, twilio.CREDENTIALS | {"Content-Type": "application/json"})
                connection.getresponse().read()
            seconds = time.monotonic() - began
            connection.close()
            check(sandbox)
        return USAGES / seconds

    @contextlib.contextmanager
    def _upstream(self):
        """A new one, which has charged nothing yet."""
        directory = next(self._places)
        directory.mkdir()
        sandbox = Sandbox(ROOT / "tests/sandbox/billing_sandbox", directory, port=self._port)
        try:
            yield sandbox
        finally:
            sandbox.stop()

    def _wait_with_all(self):
        for number in range(INSTALLATIONS):
            status, answer = self.request("POST", path_of(number), body_of(), {"Content-Type": "application/json"})
            if status != 202:
                raise programs.Failed(f"a call was refused: {status} {answer!r}")
        if self._waiting() != USAGES:
            raise programs.Failed(f"{USAGES:,} usages should wait, but meterd says {self._waiting():,}")

    def _waiting(self):
        return self.status()["upstreams"][0]["waiting"]

    def _leave(self):
        """(usages, how many of them a second, the most RssAnon meanwhile in MB). Some may have found the upstream before
        it began, and are not among them."""
        usages, most_mb = self._waiting(), 0.0

        def gone():
            nonlocal most_mb
            most_mb = max(most_mb, measure.rss_anon_mb(self.pid))
            return not self._waiting()

        if usages < USAGES / 2:
            raise programs.Failed(f"only {usages:,} of {USAGES:,} usages were left to measure")
        began = time.monotonic()
        self.commit()  # which ends the waiting for an upstream that was away
        wait_until("all usages have left", gone, DRAIN_SECONDS, every=POLL_SECONDS)
        return usages, usages / (time.monotonic() - began), most_mb


def path_of(number):
    return f"/v1/InstalledAddOns/XE{number:032x}/Usage"


def body_of():
    items = [{"sid": twilio.billing_sid(n), "quantity": n} for n in range(1, ITEMS + 1)]
    return json.dumps({"billable_items": items})


def check(sandbox):
    """Each once."""
    totals = sandbox.ledger()["charge_totals"]
    charges, total = sum(row["charges"] for row in totals), exact_sum(Decimal(row["quantity"]) for row in totals)
    if (charges, total) != (USAGES, QUANTITIES_SUM):
        raise programs.Failed(f"{USAGES:,} usages of {QUANTITIES_SUM} should be charged, not {charges:,} of {total}")
