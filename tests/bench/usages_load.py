"""Calls of the Usages API: what its rows load meterd with. The upstream cannot be reached, so all usages wait."""

import contextlib
import os
import pathlib
import tempfile
from urllib.parse import quote

import programs

CONNECTIONS = 64
FIRST_DATE = 1_700_000_000  # usage n has this and n seconds, as load_usages has it
MAX_SIZE = "2GiB"
MEMORY = pathlib.Path("/dev/shm")
ROOM_BYTES = 3 << 30


class Caller:
    """A meterd and how many usages it was given, each by a call of its own."""

    def __init__(self, bench, stack, name, subscriptions, directory=None):
        self._bench = bench
        journal = directory and directory / name
        self.meterd = programs.Meterd(bench, name, upstream=programs.UNREACHABLE, max_size=MAX_SIZE, journal=journal)
        self.meterd.start()
        stack.callback(self.meterd.stop)
        self.subscriptions = subscriptions
        self.created = 0

    @property
    def pid(self):
        return self.meterd.pid

    def stay_on_one_processor(self):
        """From now on, all threads."""
        one = {max(os.sched_getaffinity(0))}
        for thread in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), one)

    def load(self, mode, **options):
        """(processor seconds of meterd, what the load told)."""
        options = {"connections": CONNECTIONS, "subscriptions": self.subscriptions, "mode": mode} | options
        options["socket"] = self.meterd.api
        cpu, told = programs.cpu_of(self.meterd, lambda: programs.run(self._bench, "load_usages", **options))
        if told["refused"] or not told["ok"]:
            raise programs.Failed(f"calls were refused: {told}")
        return cpu, told

    def create(self, usages, **options):
        """The same, and how many commits there were."""
        before = self.meterd.commits()
        cpu, told = self.load("create", requests=usages, first=self.created, **options)
        self.created += told["ok"]
        waiting = self.meterd.status()["upstreams"][0]["waiting"]
        if waiting != self.created:
            raise programs.Failed(f"{self.created:,} usages were created, but meterd says that {waiting:,} wait")
        return cpu, told, self.meterd.commits() - before

    def middle_of(self, query):
        """The offset of the page in the middle: where a search for the later half of the dates first stops."""
        search = f"{query}&usage_date[after]={FIRST_DATE + self.created // 2}&limit=1"
        offset = None
        while True:
            answer = self.meterd.get("/api/v2/usages?" + encoded(search, offset))
            offset = answer["next_offset"]
            if answer["list"]:
                return offset


def encoded(query, offset=None):
    text = query.strip("&").replace("[", "%5B").replace("]", "%5D")
    return text + (f"&offset={quote(offset, safe='')}" if offset else "")


def quick_directory(bench, stack):
    """A place for journals whose commits are not measured: in memory, where there is room, so that a large one is soon
    made. What reads cost is the same: the pages of a file would be in memory too."""
    with contextlib.suppress(OSError):
        found = os.statvfs(MEMORY)
        if found.f_bavail * found.f_frsize >= ROOM_BYTES:
            made = tempfile.TemporaryDirectory(prefix="meterd-bench-", dir=MEMORY, ignore_cleanup_errors=True)
            return pathlib.Path(stack.enter_context(made))
    return bench.directory
