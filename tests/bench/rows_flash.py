"""Bytes that a commit of 30 hot keys writes to the device, beside LMDB's own commit of as many."""

import contextlib

import disk
import measure
import programs
from frames_load import HOT_KEYS, Reporter
from table import Figure, Row

STORED_KEYS = 1_000


def rows(bench):
    with contextlib.ExitStack() as stack:
        disks = [disk.own_disk(bench, stack, name) for name in ("flash-meterd", "flash-bare")]
        meterd = programs.Meterd(bench, "flash", journal=disks[0] and disks[0].directory / "journal")
        meterd.start()
        stack.callback(meterd.stop)
        reporter = Reporter(bench, meterd)
        reporter.send(batch=STORED_KEYS, keys=STORED_KEYS, batches=1)
        directory = disks[1].directory if disks[1] else bench.directory / "flash-bare"
        directory.mkdir(exist_ok=True)
        commits = bench.pick(quick=100, full=200)

        def written():
            return disks[0].written_bytes() if disks[0] else measure.written_bytes(meterd.pid)

        def of_meterd():
            before, commits_before = written(), meterd.commits()
            reporter.send(batch=HOT_KEYS, keys=HOT_KEYS, batches=commits)  # each batch touches all of them
            return (written() - before) / (meterd.commits() - commits_before) / 1024

        def of_bare():
            options = {"keys": HOT_KEYS, "stored": STORED_KEYS, "commits": commits}
            before = disks[1].written_bytes() if disks[1] else 0
            told = programs.run(bench, "bare_commit", directory=directory, **options)
            return (disks[1].written_bytes() - before) / commits / 1024 if disks[1] else told["bytes_each"] / 1024

        of_bare()  # the file is made, and has the size that it keeps
        of_meterd()
        ours, theirs = programs.alternate(bench.pick(quick=2, full=3), of_meterd, of_bare)
        note = "counted by a loop device with ext4" if all(disks) else "from /proc/PID/io, maybe too much: see README"
        name = f"written by a commit of {HOT_KEYS} keys"
        yield Row(name, "KiB", Figure(ours), Figure(theirs), "bare commit", judged="meterd", limit=25.0, note=note)
