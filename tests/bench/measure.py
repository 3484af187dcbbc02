"""What the kernel says of a process: processor time, memory, bytes written. And the settings that a run needs."""

import contextlib
import pathlib
import re
import time

QUEUE = pathlib.Path("/proc/sys/net/unix/max_dgram_qlen")
SETTLED_SECONDS = 0.03
SETTLED_CPU_SECONDS = 0.001


def cpu_seconds(pid):
    """User and system time of all threads: from the scheduler in nanoseconds, else from the clock ticks."""
    with contextlib.suppress(OSError):
        threads = pathlib.Path(f"/proc/{pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def settled_cpu_seconds(pid, seconds=5):
    """The same once the process has finished what it was given."""
    deadline = time.monotonic() + seconds
    last = cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(SETTLED_SECONDS)
        now = cpu_seconds(pid)
        if now - last < SETTLED_CPU_SECONDS:
            return now
        last = now
    return last


def _field(path, name):
    return int(re.search(rf"^{name}:\s*([0-9]+)", pathlib.Path(path).read_text(), re.MULTILINE).group(1))


def rss_anon_mb(pid):
    """Memory that only this process has and that no file backs, in MB (2^20 bytes)."""
    return _field(f"/proc/{pid}/status", "RssAnon") / 1024


def written_bytes(pid):
    """Bytes on the device on this process's account. Too many where the file lies in large folios: see disk.py."""
    return _field(f"/proc/{pid}/io", "write_bytes")


def handed_bytes(pid):
    """Bytes that this process handed to write calls: files, hardly anything else (sockets are sent to)."""
    return _field(f"/proc/{pid}/io", "wchar")


@contextlib.contextmanager
def datagram_queue(length):
    """net.unix.max_dgram_qlen for sockets that are made inside; yields what is in force. Root may set it."""
    found = QUEUE.read_text()
    try:
        with contextlib.suppress(OSError):
            QUEUE.write_text(f"{length}\n")
        yield int(QUEUE.read_text())
    finally:
        with contextlib.suppress(OSError):
            QUEUE.write_text(found)
