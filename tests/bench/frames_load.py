"""Batches over the framed socket: what several rows load meterd with."""

import programs

HOT_KEYS = 30  # a gateway's working set: some subscriptions, some meters
BATCH = 100


class Reporter:
    """Sends turns of batches to one meterd, each with sequences or ids of its own, and checks that all were counted."""

    def __init__(self, bench, meterd):
        self._bench, self._meterd = bench, meterd
        self._turn = 0

    def send(self, producers=1, in_flight=1, batch=BATCH, keys=HOT_KEYS, ids=False, **end):
        """`end`: seconds or batches. (processor seconds of meterd, what the load told)."""
        self._turn += 1
        arguments = {"socket": self._meterd.ingest, "producers": producers, "in_flight": in_flight, "batch": batch}
        arguments |= {"keys": keys, "turn": self._turn, "ids": int(ids), **end}
        cpu, told = programs.cpu_of(self._meterd, lambda: programs.run(self._bench, "load_frames", **arguments))
        if told["counted"] != told["events"] or told["duplicates"]:
            raise programs.Failed(f"not every event was counted once: {told}")
        return cpu, told
