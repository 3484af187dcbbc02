"""The framed socket, batches of 100 sequenced events, acknowledged when they are committed."""

import contextlib

import programs
from frames_load import HOT_KEYS, Reporter
from table import Figure, Row

MANY_KEYS = 10_000
PRODUCERS, IN_FLIGHT = 8, 8
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
    for keys, limit in ((HOT_KEYS, 1e6), (MANY_KEYS, None)):
        rates, costs = [], []
        for _ in range(bench.pick(quick=2, full=5)):
            cpu, told = reporter.send(PRODUCERS, IN_FLIGHT, keys=keys, seconds=bench.pick(quick=1, full=3))
            rates.append(told["events"] / told["seconds"])
            costs.append(cpu / told["events"] * 1e6)
        what = f"frames, {PRODUCERS} producers, {keys:,} keys"
        yield Row(what, "events/s", Figure(rates), judged="meterd", limit=limit, at_least=True)
        yield Row(what, "CPU s/M", Figure(costs))


def acknowledgement(bench, reporter):
    """One producer with one frame in flight, beside LMDB's commit of one key; the two take turns."""
    directory = bench.directory / "commits"
    directory.mkdir(exist_ok=True)
    commits = bench.pick(quick=200, full=500)

    def of_meterd():
        return reporter.send(batches=commits)[1]

    def of_bare():
        return programs.run(bench, "bare_commit", "--directory", directory, "--keys", 1, "--commits", commits)

    of_bare()  # the file is made, and has the size that it keeps
    ours, theirs = programs.alternate(bench.pick(quick=3, full=7), of_meterd, of_bare)
    p50, p99 = (Figure([told[which] for told in ours]) for which in ("p50_us", "p99_us"))
    bare = Figure([told["p50_us"] for told in theirs])
    bare_p99 = Figure([told["p99_us"] for told in theirs])
    allowed = 3 * bare.median + ACK_ALLOWANCE_US
    note = f"p99 {p99} us; bare p99 {bare_p99} us; allowed: 3 bare commits and 1 ms"
    return Row("frames, one in flight: ack p50", "us", p50, bare, "bare commit", judged="meterd", limit=allowed, note=note)
