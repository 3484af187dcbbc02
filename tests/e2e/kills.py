"""How the kill test kills: at random moments, and at chosen system calls, while the daemon runs and while it starts.

strace attaches to the running daemon, or starts it, and has the kernel kill it with SIGKILL as it enters the n-th call
of a kind: in the middle of a commit (between two writes, before a sync), with a request or an answer about to leave, or
with an answer that is there and not read. What is killed is the program that ships; nothing is preloaded.
"""

import collections
import subprocess
import time

import loss

# Calls of the running daemon, and up to how many of a kind go by first. The journal's: pwrite64, writev, fdatasync; to
# the upstream: connect, sendmsg, recvfrom; to reporters: sendto.
RUNNING = (
    ("fdatasync", 8),
    ("fdatasync", 2),
    ("pwrite64", 10),
    ("writev", 4),
    ("sendmsg", 3),
    ("recvfrom", 6),
    ("sendto", 6),
    ("connect", 2),
)
# Those around a request that can be sent once only: before its first byte, after it, before its answer is read, and
# in the commits of its intent and of its outcome.
SENDING = (
    ("connect", 4),
    ("sendmsg", 4),
    ("sendmsg", 2),
    ("recvfrom", 6),
    ("recvfrom", 3),
    ("fdatasync", 8),
    ("pwrite64", 10),
)
# Those of the sources too: an access log's datagrams (recvmmsg), netlink (sendto, recvmsg), D-Bus (sendmsg, recvmsg), and
# apps' counters: their readings (pread64), new memory (ftruncate), and who has it still (fcntl) before it goes (unlink).
SOURCES = RUNNING + (
    ("recvmmsg", 20),
    ("recvmsg", 100),
    ("sendmsg", 20),
    ("sendto", 12),
    ("pread64", 12),
    ("pread64", 3),
    ("ftruncate", 1),
    ("fcntl", 2),
    ("unlink", 2),
)
STARTING = (("flock", 1), ("fallocate", 1), ("openat", 60), ("mmap", 60), ("bind", 4), ("listen", 3), ("accept4", 1))
AIM_SECONDS = 3  # after which it is killed anyway: not every call happens in every second
# A process that was killed is still seen for a moment. So its end is taken to be this much earlier.
SEEN_AFTER_DEATH_SECONDS = 0.1


def inject(call, nth):
    expression = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}"]
    return ["strace", "-f", "-qq", "-o", "/dev/null", *expression]


class Killer:
    def __init__(self, device, over, random, running=RUNNING):
        self.device, self.over, self.random, self.running = device, over, random, running
        self.by_kind = collections.Counter()
        self.kills, self.starts = [], []

    def kill(self, aimed):
        """Kills the daemon and starts the next one. Now and then that is killed too, while it starts: one kill more, not
        one less."""
        kill = self._at_a_call() if aimed else None
        self.kills.append(kill or self._now("a random moment"))
        if self.random.random() < 0.17:
            self._while_it_starts(self.kills[-1])
        self.starts.append(self.device.start())
        self.kills[-1].ready = time.monotonic()

    def _now(self, kind):
        queued, dropped = loss.udp_socket(self.device.udp_port)
        at, dead = self.device.kill()
        self.by_kind[kind] += 1
        return loss.Kill(at, dead, dead, queued // loss.DATAGRAM_BYTES_MIN + 1, dropped)

    def _at_a_call(self):
        """None if the call did not come in time."""
        call, most = self.random.choice(self.running)
        command = inject(call, self.random.randint(1, most)) + ["-p", str(self.device.process.pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + AIM_SECONDS
        queued, dropped, at = 0, 0, time.monotonic()
        while self.device.process.poll() is None and tracer.poll() is None and time.monotonic() < deadline:
            at = time.monotonic()
            now_queued, now_dropped = loss.udp_socket(self.device.udp_port)
            queued, dropped = max(queued, now_queued), max(dropped, now_dropped)
            self.over.wait(0.002)
        tracer.terminate()
        tracer.wait()
        if self.device.process.poll() is None:
            return None
        self.by_kind[call] += 1
        dead = time.monotonic()
        return loss.Kill(at - SEEN_AFTER_DEATH_SECONDS, dead, dead, queued // loss.DATAGRAM_BYTES_MIN + 1, dropped)

    def _while_it_starts(self, kill):
        if self.random.random() < 0.5:
            self.device.spawn()
            self.over.wait(self.random.uniform(0, 0.05))
            self.by_kind["a random moment of the start"] += 1
        else:
            call, most = self.random.choice(STARTING)
            self.device.spawn(below=[*inject(call, self.random.randint(1, most)), "-D"])
            deadline = time.monotonic() + AIM_SECONDS
            while self.device.process.poll() is None and time.monotonic() < deadline:
                self.over.wait(0.002)
            self.by_kind[f"{call} of the start"] += 1
        _, kill.dead = self.device.kill()

    def print_table(self):
        total = sum(self.by_kind.values())
        print(f"{total} kills: " + ", ".join(f"{count} at {kind}" for kind, count in self.by_kind.most_common()))
        fastest, slowest = min(self.starts) * 1000, max(self.starts) * 1000
        print(f"{len(self.starts)} starts, ready after {fastest:.0f} to {slowest:.0f} ms")
