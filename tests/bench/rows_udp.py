"""statsd over UDP with a receive buffer of 4 MiB: the highest paced rate at which no line is lost."""

import contextlib
import socket

import programs
from harness import free_port
from table import Figure, Row

LADDER = (100_000, 200_000, 400_000, 600_000, 900_000)
KEPT_PACE = 0.9  # a sender that reached less of its rate says nothing of that step
REQUIRED = 400_000  # where the bare loop loses nothing at the highest


def rows(bench):
    with contextlib.ExitStack() as stack:
        meterd = programs.Meterd(bench, "udp")
        meterd.start()
        stack.callback(meterd.stop)
        port = free_port(socket.SOCK_DGRAM)
        bare = programs.Bare(bench, "bare_loop", "--udp", port)
        stack.callback(bare.stop)
        sides = [_Side(bench, meterd, meterd.udp_port, meterd.counted)]
        sides.append(_Side(bench, bare, port, lambda: bare.totals()["events"]))
        rounds = bench.pick(quick=1, full=3)
        steps = [programs.alternate(rounds, *(lambda s=side, r=rate: s.step(r) for side in sides)) for rate in LADDER]
        highest = [_highest([step[side] for step in steps]) for side in range(2)]
        judged = highest[1] == LADDER[-1] or highest[0] >= REQUIRED
        note = "lost of each step: " + "; ".join(
            f"{rate // 1000} k: {_text(step[0])}, bare {_text(step[1])}" for rate, step in zip(LADDER, steps)
        )
        yield Row(
            "statsd over UDP, no loss", "lines/s", Figure(highest[0]), Figure(highest[1]), "bare loop",
            judged="meterd", limit=REQUIRED if judged else None, at_least=True, note=note,
        )  # fmt: skip


class _Side:
    def __init__(self, bench, process, port, counted):
        self._bench, self._process, self._port, self._counted = bench, process, port, counted

    def step(self, rate):
        """(lines a second that were sent, how many lines were lost) at this rate."""
        before = self._counted()
        seconds = self._bench.pick(quick=1, full=2)
        told = programs.run(self._bench, "load_datagrams", udp=self._port, rate=rate, seconds=seconds)
        self._process.cpu()  # returns when what is in the socket has been read
        return told["lines"] / told["seconds"], told["lines"] - (self._counted() - before), rate


def _lossless(runs):
    """Whether the sender kept its pace and no line was lost in at least half of the runs."""
    good = [lost == 0 and sent >= KEPT_PACE * rate for sent, lost, rate in runs]
    return 2 * sum(good) >= len(good)


def _highest(steps):
    reached = 0
    for runs in steps:
        if not _lossless(runs):
            break
        reached = runs[0][2]
    return reached


def _text(runs):
    lost = "/".join(f"{lost:,}" for _, lost, _ in runs)
    slow = min(sent / rate for sent, _, rate in runs)
    return lost + (f" (sender at {slow:.0%})" if slow < KEPT_PACE else "")
