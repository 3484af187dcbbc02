"""What systemd does for a service of Type=notify with a store of file descriptors (FileDescriptorStoreMax=): it takes
what is sent to NOTIFY_SOCKET, keeps it while the service does not run, and passes it on at the next start."""

import array
import contextlib
import os
import socket
import threading


class Store:
    def __init__(self, directory, places=512):
        self._path = str(directory / "notify.sock")
        self._places = places
        self._kept = {}  # name -> descriptor
        self._seen = threading.Event()
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._path)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(64))
            except OSError:
                return
            if data == b"end":
                return
            if data == b"barrier":
                self._seen.set()
                continue
            self._take(dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line), ancillary)

    def _take(self, said, ancillary):
        passed = array.array("i")
        for _, kind, bytes_ in ancillary:
            if kind == socket.SCM_RIGHTS:
                passed.frombytes(bytes_[: len(bytes_) - len(bytes_) % passed.itemsize])
        with self._lock:
            if said.get("FDSTORE") == "1" and len(passed) == 1 and len(self._kept) < self._places:
                self._drop(said["FDNAME"])
                self._kept[said["FDNAME"]] = passed.pop()
            elif said.get("FDSTOREREMOVE") == "1":
                self._drop(said["FDNAME"])
        for unused in passed:
            os.close(unused)

    def _drop(self, name):
        if name in self._kept:
            os.close(self._kept.pop(name))

    def forget(self):
        """What a stop does: the store is emptied."""
        with self._lock:
            for name in list(self._kept):
                self._drop(name)

    def names(self):
        with self._lock:
            return sorted(self._kept)

    def environment(self):
        return {"NOTIFY_SOCKET": self._path, "FDSTORE": str(self._places)}

    def kept(self):
        """{name: descriptor} as it is now, also of what a process that was killed had sent before."""
        self._seen.clear()
        self._say(b"barrier")
        self._seen.wait(5)
        with self._lock:
            return dict(self._kept)

    def _say(self, what):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(what, self._path)

    def close(self):
        self._say(b"end")
        self._thread.join(5)
        self._socket.close()
        self.forget()
