"""Counters in shared memory: an addition beside a bare one, and the reading of 10,000 of them."""

import tempfile

import programs
from table import Figure, Row

COUNTERS = 10_000
COMMIT_US = 1_000  # the most that a commit may spend on them


def rows(bench):
    told = [_round(bench, number) for number in range(bench.pick(quick=2, full=5))]
    column = lambda name: Figure([one[name] for one in told])  # noqa: E731
    for threads, text in ((1, "1 thread"), (2, "2 threads, a counter each")):
        name = f"meter_add, {text}"
        yield Row(name, "ns", column(f"meter_{threads}"), column(f"bare_{threads}"), "bare addition", limit=1.5)
    for name, text in (("idle_us", "none changed"), ("changed_us", "all changed")):
        name, text = f"reading {COUNTERS:,} counters, {text}", name
        yield Row(name, "us", column(text), judged="meterd", limit=COMMIT_US)


def _round(bench, number):
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
        return programs.run(bench, "count_memory", directory=directory, counters=COUNTERS, round=number)
