"""What a kill may have taken from a producer that is acknowledged as `received` or not at all.

An event is durable one commit_interval after the daemon has read it, plus what two commits take: the one that was
under way when it came and its own. How long a commit takes is not guessed: it is at most the longest round trip of a
committed batch in the same run. So at risk is what was done (accepted by the socket, or acknowledged) less than
`reach` before a kill, what left before the dead daemon's inputs were gone or replaced, what was never answered, and
what a socket's queue may have held on top of that.
"""

import collections
import dataclasses


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
