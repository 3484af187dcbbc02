"""A meterd whose upstream cannot be reached, with usages that wait: a gateway that is long without a link."""

import programs

SUBSCRIPTIONS = 10_000
MAX_SIZE = "512MiB"


class Offline:
    """Made once in a run and shared by the rows that need it; `meterd` runs on with `waiting` usages in its outbox."""

    def __init__(self, bench, name="offline"):
        self._bench = bench
        self.meterd = programs.Meterd(bench, name, upstream=programs.UNREACHABLE, max_size=MAX_SIZE)
        self.meterd.start()
        bench.at_end(self.meterd.stop)
        self._sent = 0
        self.waiting = 0

    def count_once(self, seal=False):
        """One event for each subscription, committed."""
        lines = {"keys": SUBSCRIPTIONS, "lines": SUBSCRIPTIONS}  # each key once
        told = programs.run(self._bench, "load_datagrams", unix=self.meterd.statsd, **lines)
        self._sent += told["lines"]
        self.meterd.wait_until_counted(self._sent)
        self.meterd.commit(seal)

    def seal_once(self):
        """One event for each subscription, and each bucket sealed: so many more usages wait."""
        self.count_once(seal=True)
        self.waiting += SUBSCRIPTIONS
        waiting = self.meterd.status()["upstreams"][0]["waiting"]
        if waiting != self.waiting:
            raise programs.Failed(f"{self.waiting:,} usages should wait, but meterd says {waiting:,}")


def full_outbox(bench):
    """The shared Offline with all its usages: 300,000, or 30,000 in a quick run."""
    offline = bench.shared("offline", lambda: Offline(bench))
    while offline.waiting < bench.pick(quick=3, full=30) * SUBSCRIPTIONS:
        offline.seal_once()
    return offline
