"""Bytes written to the device by a commit of 30 hot keys, beside LMDB's own commit of as many."""

import contextlib

import measure
import programs
from frames_load import HOT_KEYS, Reporter
from table import Figure, Row

STORED_KEYS = 1_000


def rows(bench):
    with contextlib.ExitStack() as stack:
        meterd = programs.Meterd(bench, "flash")
        meterd.start()
        stack.callback(meterd.stop)
        reporter = Reporter(bench, meterd)
        reporter.send(batch=STORED_KEYS, keys=STORED_KEYS, batches=1)
        directory = bench.directory / "flash-bare"
        directory.mkdir()
        commits = bench.pick(quick=100, full=200)

        def of_meterd():
            before, commits_before = measure.written_bytes(meterd.pid), meterd.commits()
            reporter.send(batch=HOT_KEYS, keys=HOT_KEYS, batches=commits)  # each batch touches all of them
            return (measure.written_bytes(meterd.pid) - before) / (meterd.commits() - commits_before) / 1024

        def of_bare():
            arguments = ("--directory", directory, "--keys", HOT_KEYS, "--stored", STORED_KEYS, "--commits", commits)
            return programs.run(bench, "bare_commit", *arguments)["bytes_each"] / 1024

        of_bare()
        ours, theirs = programs.alternate(bench.pick(quick=2, full=3), of_meterd, of_bare)
        name = f"written by a commit of {HOT_KEYS} keys"
        yield Row(name, "KiB", Figure(ours), Figure(theirs), "bare commit", judged="meterd", limit=25.0)
