"""statsd lines over unix datagrams, 10,000 keys: processor time a line, against a loop that only adds them up."""

import contextlib

import measure
import programs
from table import Figure, Row

KEYS = 10_000
QUEUE_LENGTH = 512


def rows(bench):
    with measure.datagram_queue(QUEUE_LENGTH) as queue:
        yield _row(bench, queue, lines=1, limit=1.3)
        yield _row(bench, queue, lines=20, limit=2.0)


def _row(bench, queue, lines, limit):
    name = f"statsd-{lines}"
    with contextlib.ExitStack() as stack:
        meterd = programs.Meterd(bench, name)
        meterd.start()
        stack.callback(meterd.stop)
        socket = bench.directory / f"{name}.sock"
        bare = programs.Bare(bench, "bare_loop", "--unix", socket)
        stack.callback(bare.stop)
        seconds = bench.pick(quick=2, full=programs.COMMIT_INTERVAL_SECONDS)
        sent = {meterd: 0, bare: 0}
        rates = []

        def flood(process, path):
            def load():
                options = {"keys": KEYS, "lines_per_datagram": lines, "seconds": seconds}
                return programs.run(bench, "load_datagrams", unix=path, **options)

            cpu, told = programs.cpu_of(process, load)
            sent[process] += told["lines"]
            process.wait_until_counted(sent[process])
            return cpu, told

        def of_meterd():
            commits = meterd.commits()
            cpu, told = flood(meterd, meterd.statsd)
            in_load = meterd.commits() - commits
            commit_cpu, _ = programs.cpu_of(meterd, meterd.commit)
            # One commit of all keys for each commit_interval of load, whether the timer's fell into this load or not.
            due = told["seconds"] / programs.COMMIT_INTERVAL_SECONDS
            rates.append(told["lines"] / told["seconds"])
            return (cpu + commit_cpu * (due - in_load)) / told["lines"] * 1e6

        def of_bare():
            cpu, told = flood(bare, socket)
            return cpu / told["lines"] * 1e6

        ours, theirs = programs.alternate(bench.pick(quick=2, full=3), of_meterd, of_bare)
        note = f"counts exact on both sides; {Figure(rates)} lines/s; max_dgram_qlen {queue}"
        name = f"statsd, {lines} a datagram"
        return Row(name, "CPU s/M", Figure(ours), Figure(theirs), "bare loop", limit=limit, note=note)
