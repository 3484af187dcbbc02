"""What a kill may have taken from a producer that is acknowledged as `received` or not at all.

An event is durable one commit_interval after the daemon has read it, plus what two commits take: the one that was
under way when it came and its own. How long a commit takes is not guessed: it is at most the longest round trip of a
committed batch in the same run. So at risk is what was done (accepted by the socket, or acknowledged) less than
`reach` before a kill, what left before the dead daemon's inputs were gone or replaced, what was never answered, and
what a socket's queue may have held on top of that.
"""

import collections
import dataclasses
import types


@dataclasses.dataclass
class Kill:
    at: float  # before the signal
    dead: float
    ready: float  # the next daemon's inputs are bound
    udp_queued: int  # datagrams that the UDP socket may have held
    udp_dropped: int  # datagrams that the kernel had dropped from it


# The smallest memory that a queued datagram takes (a Linux skb and its data), so that bytes bound a number.
DATAGRAM_BYTES_MIN = 512


def udp_socket(port):
    """(bytes queued, datagrams dropped) of the UDP socket bound to a local port; zeros if there is none."""
    with open("/proc/net/udp") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[2].endswith(":0000"):
                return int(fields[4].partition(":")[2], 16), int(fields[-1])
    return 0, 0


def unix_queue_length():
    with open("/proc/sys/net/unix/max_dgram_qlen") as value:
        return int(value.read()) + 1  # one more may be on its way in


def at_risk_held(records, kills, reach):
    """How many events a kill may have taken of those that came through a socket that is held: what waits in it outlives
    the daemon. So at risk is what that daemon may have read and not committed: what was sent less than `reach` before
    its end, or since its predecessor's when it began as late as that."""
    chosen = set()
    before = None
    for kill in kills:
        since = kill.at if before is None or before.ready < kill.at - reach else before.at
        chosen.update(number for number, record in enumerate(records) if since - reach <= record.done and record.left <= kill.dead)
        before = kill
    return sum(record.events for number, record in enumerate(records) if number in chosen or not record.certain)


def at_risk(records, kills, reach, until, queued):
    """{subscription: events}. `until(kill)`: when the inputs of the killed daemon can no longer take anything;
    `queued(kill)`: datagrams that may have waited even longer than `reach` in the socket."""
    chosen = set()
    for kill in kills:
        before = []
        for number, record in enumerate(records):
            if record.left > until(kill):
                break
            if record.done >= kill.at - reach:
                chosen.add(number)
            else:
                before.append(number)
        chosen.update(before[len(before) - min(queued(kill), len(before)) :])
    out = collections.Counter()
    for number, record in enumerate(records):
        if number in chosen or not record.certain:
            out[record.subscription] += record.events
    return dict(out)


def self_test():
    """Negative control: what no kill can have taken is not at risk. Raises AssertionError."""

    def risk(moments, *kills, certain=True):
        records = [types.SimpleNamespace(left=at, done=at, events=1, certain=certain) for at in moments]
        return at_risk_held(records, [Kill(at, at + 0.1, ready, 0, 0) for at, ready in kills], reach=0.2)

    assert risk([9.7, 10.2, 10.9], (10, 11)) == 0  # committed before; waiting in the socket; read by the next one
    assert risk([9.9, 10.05], (10, 11)) == 2
    assert risk([9.7, 10.2, 10.9], (10, 11), (12, 13)) == 0  # what waited is committed long before the next kill
    assert risk([9.7, 10.2, 10.9], (10, 11), (11.1, 13)) == 2  # what waited had just been read
    assert risk([5], (10, 11), certain=False) == 1
