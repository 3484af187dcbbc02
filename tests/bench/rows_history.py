"""What waits must not slow what is counted: the same load, the same keys, with a full outbox and with none.

A journal that is empty altogether stands beside both: a tree of one level less costs a commit two or three pages less."""

import contextlib

import measure
import offline
import programs
from frames_load import BATCH, Reporter
from table import Figure, Row


def rows(bench):
    yield from _outbox(bench)
    yield _ids(bench)


def _outbox(bench):
    full = offline.full_outbox(bench)
    with contextlib.ExitStack() as stack:
        none_waits = offline.Offline(bench, "none-waits")
        none_waits.count_once()
        empty = programs.Meterd(bench, "history-empty", upstream=programs.UNREACHABLE, max_size=offline.MAX_SIZE)
        empty.start()
        stack.callback(empty.stop)
        sides = [_Side(bench, meterd) for meterd in (full.meterd, none_waits.meterd, empty)]
        for side in sides:
            side.flood()  # the places of the hot keys are made
        rounds = bench.pick(quick=2, full=5)
        kind = f"with {full.waiting:,} waiting"
        flood = programs.alternate(rounds, *(side.flood for side in sides))
        yield _row(f"CPU an event {kind}", "CPU s/M", flood)
        alone = programs.alternate(rounds, *(side.alone for side in sides))
        yield _row(f"ack p50 {kind}", "us", [[p50 for p50, _, _ in side] for side in alone])
        yield _row(f"commit {kind}: CPU", "us", [[cpu for _, cpu, _ in side] for side in alone])
        yield _row(f"commit {kind}: written", "KiB", [[written for _, _, written in side] for side in alone])


def _row(name, unit, sides):
    full, none_waits, empty = (Figure(side) for side in sides)
    note = f"an empty journal: {empty}"
    return Row(name, unit, full, none_waits, "none waiting", limit=1.2, note=note)


class _Side:
    def __init__(self, bench, meterd):
        self._bench, self._meterd = bench, meterd
        self._reporter = Reporter(bench, meterd)

    def flood(self):
        cpu, told = self._reporter.send(8, 8, seconds=self._bench.pick(quick=1, full=3))
        return cpu / told["events"] * 1e6

    def alone(self):
        """(p50 of a committed batch, processor time a commit, KiB a commit) with one batch under way."""
        before, commits_before = measure.handed_bytes(self._meterd.pid), self._meterd.commits()
        cpu, told = self._reporter.send(batches=self._bench.pick(quick=100, full=300))
        commits = self._meterd.commits() - commits_before
        written = measure.handed_bytes(self._meterd.pid) - before
        return told["p50_us"], cpu / commits * 1e6, written / commits / 1024


def _ids(bench):
    """Events with ids: the first on a fresh journal, beside as many after half a million."""
    remembered = bench.pick(quick=100_000, full=500_000)
    measured = bench.pick(quick=20_000, full=50_000)
    with contextlib.ExitStack() as stack:
        old = programs.Meterd(bench, "ids-old", max_size=offline.MAX_SIZE)
        old.start()
        stack.callback(old.stop)
        reporter = Reporter(bench, old)
        _with_ids(reporter, remembered)
        fresh_runs = iter(range(100))

        def on_old():
            return _with_ids(reporter, measured)

        def on_fresh():
            fresh = programs.Meterd(bench, f"ids-fresh-{next(fresh_runs)}", max_size=offline.MAX_SIZE)
            with contextlib.ExitStack() as inner:
                fresh.start()
                inner.callback(fresh.stop)
                return _with_ids(Reporter(bench, fresh), measured)

        after, first = programs.alternate(bench.pick(quick=1, full=3), on_old, on_fresh)
        name = f"CPU an event with id, {remembered:,} known"
        return Row(name, "CPU s/M", Figure(after), Figure(first), f"first {measured:,}", limit=1.3)


def _with_ids(reporter, events):
    cpu, told = reporter.send(4, 4, ids=True, batches=events // BATCH)
    return cpu / told["events"] * 1e6
