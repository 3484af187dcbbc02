"""What meterd needs: anonymous memory idle, under load and after a long time offline; and its size as a file."""

import contextlib
import os
import subprocess
import time

import measure
import offline
import programs
from table import Figure, Row

KEYS = 10_000
IDLE_SECONDS = 1


def rows(bench):
    yield from _online(bench)
    yield _after_long_offline(bench)
    yield _binary(bench, "meterd", limit=3.0)
    yield _binary(bench, "meterctl", limit=None)


def _mb(name, value, limit, **more):
    return Row(name, "MB", Figure(value), judged="meterd", limit=limit, **more)


def _online(bench):
    with contextlib.ExitStack() as stack:
        meterd = programs.Meterd(bench, "memory")
        meterd.start()
        stack.callback(meterd.stop)
        time.sleep(IDLE_SECONDS)
        yield _mb("RssAnon, idle", measure.rss_anon_mb(meterd.pid), limit=10.0)
        seconds = bench.pick(quick=1, full=5)
        told = programs.run(bench, "load_datagrams", unix=meterd.statsd, keys=KEYS, seconds=seconds)
        meterd.wait_until_counted(told["lines"])
        meterd.commit()
        yield _mb(f"RssAnon, {KEYS:,} live keys", measure.rss_anon_mb(meterd.pid), limit=16.0)


def _after_long_offline(bench):
    shared = bench.shared("offline", lambda: offline.Offline(bench))
    shared.seal_once()
    few, few_mb = shared.waiting, measure.rss_anon_mb(shared.meterd.pid)
    began = time.monotonic()
    offline.full_outbox(bench)
    many_mb = measure.rss_anon_mb(shared.meterd.pid)
    note = f"{many_mb:.1f} MB; made in {time.monotonic() - began:.0f} s; as file {_file_mb(shared.meterd):.0f} MB"
    name = f"RssAnon, {shared.waiting:,} waiting"
    return _mb(f"{name} (growth since {few:,})", many_mb - few_mb, limit=1.0, note=note)


def _file_mb(meterd):
    return (meterd.journal / "data.mdb").stat().st_blocks * 512 / 2**20


def _binary(bench, name, limit):
    copy = bench.directory / f"{name}-stripped"
    subprocess.run(["strip", "-o", str(copy), str(bench.program(name))], check=True)
    return _mb(f"{name}, stripped", os.path.getsize(copy) / 2**20, limit)
