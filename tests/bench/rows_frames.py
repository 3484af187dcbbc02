"""The framed socket, batches of 100 sequenced events, acknowledged when they are committed."""

import contextlib

import programs
from frames_load import HOT_KEYS, Reporter
from table import Figure, Row

MANY_KEYS = 10_000
PRODUCERS, IN_FLIGHT = 8, 16
ACK_ALLOWANCE_US = 1_000  # an acknowledgement may take 3 bare commits and this


def rows(bench):
    with contextlib.ExitStack() as stack:
        meterd = programs.Meterd(bench, "frames")
        meterd.start()
        stack.callback(meterd.stop)
        reporter = Reporter(bench, meterd)
        yield from throughput(bench, reporter)
        yield acknowledgement(bench, reporter)


def throughput(bench, reporter):
    directory = commits_directory(bench)
    for keys, limit in ((HOT_KEYS, 1e6), (MANY_KEYS, None)):

        def of_meterd(keys=keys):
            return reporter.send(PRODUCERS, IN_FLIGHT, keys=keys, seconds=bench.pick(quick=1, full=3))

        def of_bare():
            return programs.run(bench, "bare_commit", directory=directory, keys=HOT_KEYS, commits=50)

        ours, theirs = programs.alternate(bench.pick(quick=2, full=5), of_meterd, of_bare)
        rates = Figure([told["events"] / told["seconds"] for _, told in ours])
        costs = Figure([cpu / told["events"] * 1e6 for cpu, told in ours])
        note = f"meanwhile a bare commit of {HOT_KEYS} keys took {Figure([told['p50_us'] for told in theirs])} us"
        what = f"frames, {PRODUCERS} producers, {keys:,} keys"
        yield Row(what, "events/s", rates, judged="meterd", limit=limit, at_least=True, note=note)
        yield Row(what, "CPU s/M", costs)


def commits_directory(bench):
    directory = bench.directory / "commits"
    directory.mkdir(exist_ok=True)
    return directory


def acknowledgement(bench, reporter):
    """One producer with one frame in flight, beside LMDB's commit of one key; the two take turns."""
    directory = commits_directory(bench)
    commits = bench.pick(quick=200, full=500)

    def of_meterd():
        return reporter.send(batches=commits)[1]

    def of_bare():
        return programs.run(bench, "bare_commit", directory=directory, keys=1, commits=commits)

    of_bare()  # the file is made, and has the size that it keeps
    ours, theirs = programs.alternate(bench.pick(quick=3, full=7), of_meterd, of_bare)
    p50, p99 = (Figure([told[which] for told in ours]) for which in ("p50_us", "p99_us"))
    bare = Figure([told["p50_us"] for told in theirs])
    bare_p99 = Figure([told["p99_us"] for told in theirs])
    allowed = 3 * bare.median + ACK_ALLOWANCE_US
    note = f"p99 {p99} us; bare p99 {bare_p99} us; allowed: 3 bare commits and 1 ms"
    name = "frames, one in flight: ack p50"
    return Row(name, "us", p50, bare, "bare commit", judged="meterd", limit=allowed, note=note)
