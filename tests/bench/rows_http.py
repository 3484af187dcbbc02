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
        directory = bench.directory / "http-bare"
        directory.mkdir()
        socket = bench.directory / "http-bare.sock"
        bare = programs.Bare(bench, "bare_http", "--unix", socket, "--directory", directory)
        stack.callback(bare.stop)
        poster = Poster(bench, ((meterd, meterd.api), (bare, socket)))
        yield poster.row(meterd, bare, connections=64, batch=0, limits=(2.0, None))
        yield poster.row(meterd, bare, connections=8, batch=BATCH, limits=(None, 1.5))


class Poster:
    def __init__(self, bench, doors):
        self._bench, self._doors = bench, dict(doors)
        self._counted = {process: 0 for process in self._doors}
        self._turn = 0

    def post(self, process, connections, batch):
        self._turn += 1
        arguments = ("--socket", self._doors[process], "--connections", connections, "--batch", batch, "--keys", HOT_KEYS)
        seconds = self._bench.pick(quick=1, full=4)
        load = lambda: programs.run(
            self._bench, "load_http", *arguments, "--seconds", seconds, "--turn", self._turn
        )
        cpu, told = programs.cpu_of(process, load)
        if told["unsupported"]:
            return None
        if told["refused"]:
            raise programs.Failed(f"requests were refused: {told}")
        self._counted[process] += told["events"]
        process.wait_until_counted(self._counted[process])
        return cpu / told["events"] * 1e6, told

    def row(self, meterd, bare, connections, batch, limits):
        name = f"POST /events, {batch or 1} a request, {connections} connections"
        ratio_limit, limit = limits
        judged = "ratio" if ratio_limit else "meterd"
        row = Row(name, "CPU s/M", beside_name="bare http", judged=judged, limit=ratio_limit or limit)
        if self.post(meterd, connections, batch) is None:  # also warms up
            row.note = "meterd answered 415"
            return row
        self.post(bare, connections, batch)
        ours, theirs = programs.alternate(
            self._bench.pick(quick=2, full=5),
            lambda: self.post(meterd, connections, batch),
            lambda: self.post(bare, connections, batch),
        )
        row.meterd, row.beside = (Figure([cpu for cpu, _ in side]) for side in (ours, theirs))
        rates = [Figure([told["events"] / told["seconds"] for _, told in side]) for side in (ours, theirs)]
        p50 = [Figure([told["p50_us"] for _, told in side]) for side in (ours, theirs)]
        row.note = f"{rates[0]} events/s, bare {rates[1]}; answers p50 {p50[0]} us, bare {p50[1]} us"
        return row
