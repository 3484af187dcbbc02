"""POST /events over the unix socket, each event with an id of its own, answered when it is committed."""

import contextlib

import programs
from frames_load import HOT_KEYS
from table import Figure, Row

BATCH = 100


def rows(bench):
    with contextlib.ExitStack() as stack:
        meterd = programs.Meterd(bench, "http", max_size="512MiB")
        meterd.start()
        stack.callback(meterd.stop)
        # One that promises as much, and one that keeps the ids where it cannot look them up.
        servers = [_bare(bench, stack, ids) for ids in ("known", "logged")]
        sides = [_Side(bench, meterd, meterd.api), *(_Side(bench, bare, socket) for bare, socket in servers)]
        yield from _rows(bench, sides, 64, 0, ratio_limit=2.0)
        yield from _rows(bench, sides, 8, BATCH, limit=1.5)


def _bare(bench, stack, ids):
    directory = bench.directory / f"http-bare-{ids}"
    directory.mkdir()
    socket = bench.directory / f"http-bare-{ids}.sock"
    bare = programs.Bare(bench, "bare_http", "--unix", socket, "--directory", directory, "--ids", ids)
    stack.callback(bare.stop)
    return bare, socket


class _Side:
    def __init__(self, bench, process, socket):
        self._bench, self._process, self._socket = bench, process, socket
        self._sent = 0
        self._turn = 0

    def post(self, connections, batch):
        """As many on each side, so that both remember as many ids: (CPU s/M, what the load told); None for a 415."""
        self._turn += 1
        requests = self._bench.pick(quick=300, full=1_500) if batch else self._bench.pick(quick=15_000, full=60_000)
        arguments = {"socket": self._socket, "connections": connections, "batch": batch, "keys": HOT_KEYS}
        arguments |= {"requests": requests, "seconds": self._bench.pick(quick=1, full=4), "turn": self._turn}
        cpu, told = programs.cpu_of(self._process, lambda: programs.run(self._bench, "load_http", **arguments))
        if told["unsupported"]:
            return None
        if told["refused"]:
            raise programs.Failed(f"requests were refused: {told}")
        self._sent += told["events"]
        self._process.wait_until_counted(self._sent)
        return cpu / told["events"] * 1e6, told


def _rows(bench, sides, connections, batch, ratio_limit=None, limit=None):
    name = f"POST /events, {batch or 1} a request, {connections} connections"
    judged = "ratio" if ratio_limit else "meterd"
    row = Row(name, "CPU s/M", beside_name="bare http", judged=judged, limit=ratio_limit or limit)
    if any([side.post(connections, batch) is None for side in sides]):  # also warms all of them up
        row.note = "meterd answered 415"
        yield row
        return
    rounds = bench.pick(quick=2, full=5)
    results = programs.alternate(rounds, *(lambda s=side: s.post(connections, batch) for side in sides))
    costs = [Figure([cpu for cpu, _ in side]) for side in results]
    rates = [Figure([told["events"] / told["seconds"] for _, told in side]) for side in results]
    p50 = [Figure([told["p50_us"] for _, told in side]) for side in results]
    row.meterd, row.beside = costs[:2]
    row.note = f"{rates[0]} events/s, bare {rates[1]}; answers p50 {p50[0]} us, bare {p50[1]} us"
    yield row
    name = f"POST, {batch or 1} a request: the ids' share"
    yield Row(name, "CPU s/M", costs[0], costs[2], "bare http that only logs ids")
