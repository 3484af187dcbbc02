"""A file system whose power can be cut: ext4 on a loop device in a mount namespace of its own.

The cut is the kernel's own (EXT4_IOC_SHUTDOWN without a flush of the log): from one moment on nothing reaches the disk
any more, and the page cache and what the file system's journal had not committed are lost. What was handed to the disk
and not flushed survives there; CachedVolume's disk has a write cache, and is killed with it.
"""

import fcntl
import os
import struct
import subprocess
import sys

from harness import Failed, wait_until

SIZE_BYTES = 192 << 20
COMMIT_SECONDS = 300  # ext4 saves nothing by itself meanwhile: what is there after a cut was synced
SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
WITHOUT_LOG_FLUSH = struct.pack("I", 2)
START_SECONDS = 20
INSIDE = "METERD_TEST_MOUNTS"


def enter():
    """Starts this program again in a mount namespace of its own, so that whatever becomes of it, its mounts and with
    them its loop devices go. Returns when it is inside."""
    if os.environ.get(INSIDE):
        return
    if os.geteuid() != 0:
        sys.exit("FAILED: run it as root: it mounts a file system of its own on a loop device")
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
    os.execvpe(command[0], command, dict(os.environ, **{INSIDE: "1"}))


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


class Volume:
    """`place` is where it is mounted."""

    def __init__(self, directory):
        self._image, self.place = directory / "disk.img", directory / "disk"
        self.place.mkdir()
        with open(self._image, "wb") as image:
            image.truncate(SIZE_BYTES)
        run("mkfs.ext4", "-q", "-F", self._image)
        self.mount()

    def mount(self):
        self._mount(self._image)

    def _mount(self, disk):
        run("mount", "-o", f"loop,commit={COMMIT_SECONDS}", disk, self.place)
        self._root = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)

    def cut(self):
        """Returns when nothing reaches the disk any more. Whoever has files open on it gets errors."""
        fcntl.ioctl(self._root, SHUTDOWN, WITHOUT_LOG_FLUSH)

    def unmount(self):
        if self._root is not None:
            os.close(self._root)
            self._root = None
            run("umount", self.place)


class CachedVolume(Volume):
    """The same on a disk with a volatile write cache: nbdkit keeps in a file of its own what was not flushed, and
    nbdfuse makes a file of it that a loop device can take. `lies`: it keeps what was flushed too."""

    def __init__(self, directory, lies=False):
        self._far, self._socket = directory / "far", directory / "nbd.sock"
        self._cache = "unsafe" if lies else "writeback"
        self._disk = self._mirror = None
        self._far.mkdir()
        super().__init__(directory)

    def mount(self):
        self._socket.unlink(missing_ok=True)
        self._disk = subprocess.Popen(["nbdkit", "--foreground", "--unix", self._socket, "--filter=cache", "file",
                                       self._image, f"cache={self._cache}"], stderr=subprocess.DEVNULL)
        wait_until("nbdkit listens", self._socket.exists, START_SECONDS)
        uri = f"nbd+unix:///?socket={self._socket}"
        self._mirror = subprocess.Popen(["nbdfuse", self._far, uri], stderr=subprocess.DEVNULL)
        wait_until("nbdfuse shows the disk", (self._far / "nbd").exists, START_SECONDS)
        self._mount(self._far / "nbd")

    def cut(self):
        self._disk.kill()
        self._disk.wait(START_SECONDS)

    def unmount(self):
        if self._root is None:
            return
        super().cut()  # else the file system tries to write, and waits
        super().unmount()
        run("umount", "--lazy", self._far)
        for process in (self._mirror, self._disk):
            process.kill()
            process.wait(START_SECONDS)
