"""Apps that count through libmeter and note the truth (count_client.c)."""

import struct
import subprocess

from harness import wait_until

THREADS = 2
HEAD = struct.Struct("8Q")  # of count_client.c's truth
THREAD = struct.Struct("2Q")


class App:
    """One process after the other for one subscription; each has a file in which it notes the truth."""

    def __init__(self, program, device, event, subscription):
        self.event, self.subscription = event, subscription
        self._program, self._device = program, device
        self._truths = []
        self.process = None

    def start(self):
        self._truths.append(self._device.directory / f"{self.event}-{self.subscription}-{len(self._truths)}.truth")
        sockets = str(self._device.ingest.parent)
        command = [self._program, sockets, self._truths[-1], self.event, self.subscription, str(THREADS)]
        self.process = subprocess.Popen(command)
        path = self._truths[-1]
        wait_until("the app has its file", lambda: path.exists() and path.stat().st_size > HEAD.size, 20)

    def park(self):
        """Returns when it adds nothing any more."""
        path = self._truths[-1]
        with open(path, "r+b") as file:
            file.write(struct.pack("Q", 1))
        wait_until("the app keeps still", lambda: HEAD.unpack(path.read_bytes()[: HEAD.size])[1] == THREADS, 20)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def truth(self):
        """(surely added, at most added)"""
        least = most = 0
        for path in self._truths:
            for meant, added in THREAD.iter_unpack(path.read_bytes()[HEAD.size :][: THREAD.size * THREADS]):
                least, most = least + added, most + meant
        return least, most
