"""An emulated ARM machine (qemu, no hardware behind it) with a disk whose write cache is volatile (volatile_disk.py). cut()
takes both away at once, as a power cut does. The host reaches the guest's shell and meterd's sockets over the network that
qemu makes, on loopback ports of its own.
"""

import http.client
import pathlib
import shlex
import signal
import socket
import subprocess
import time

import image
import volatile_disk
from harness import Failed, free_port, wait_until
from service import Service

BOOT_SECONDS = 400  # 15 s on a quiet machine; others may be at work on this one
SHELL_SECONDS = 120
END_SECONDS = 20
WRITES_SECONDS = 120


def die_with_this():
    """Before exec: whatever becomes of the test, no machine is left."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class VirtualMachine(Service):
    def __init__(self, kind, kernel, initrd, disk, directory):
        self.kind = kind
        self._kernel, self._initrd, self._image = kernel, initrd, disk
        self._directory = pathlib.Path(directory)
        self._socket, self._log, self._armed = (self._directory / name for name in ("disk.sock", "not-flushed", "armed"))
        self._console = self._directory / "console.log"
        self._disk = self._machine = None
        self._ports = {guest: free_port() for guest in (image.SHELL, image.API, image.INGEST)}

    def power_on(self, lies=False, by_instructions=False):
        """`lies`: the disk says that it flushed, and did not. `by_instructions`: the machine has one processor, and its clock
        goes on by a nanosecond with each instruction, however busy this machine is."""
        self._socket.unlink(missing_ok=True)
        self._disk = self._start("nbdkit", "--foreground", "--unix", self._socket, "python", volatile_disk.__file__,
                                 f"image={self._image}", f"log={self._log}", f"armed={self._armed}", f"lies={int(lies)}")
        wait_until("nbdkit listens", self._socket.exists, END_SECONDS)
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-{image.GUEST}:{guest}" for guest, host in self._ports.items())
        speed = ["-accel", "tcg,thread=single", "-icount", "shift=0"] if by_instructions else ["-accel", "tcg,thread=multi", "-smp", "2"]
        self._machine = self._start(
            self.kind.emulator, "-M", "virt", "-cpu", self.kind.processor, *speed, "-m", "512",
            "-nodefaults", "-nographic", "-no-reboot", "-chardev", f"file,id=console,path={self._console},append=on",
            "-serial", "chardev:console", "-kernel", self._kernel, "-initrd", self._initrd,
            "-append", "console=ttyAMA0 quiet panic=-1",
            "-drive", f"file=nbd+unix:///?socket={self._socket},format=raw,if=none,id=disk,cache=writeback",
            "-device", "virtio-blk-device,drive=disk", "-netdev", f"user,id=net{forwards}", "-device", "virtio-net-device,netdev=net")

    def _start(self, *command):
        with open(self._directory / "programs.log", "ab") as log:
            return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    preexec_fn=die_with_this)

    def boot(self, **how):
        """Until the service, which nobody starts, is ready. Seconds."""
        began = time.monotonic()
        self.power_on(**how)
        wait_until("meterd is started and ready", self._ready, BOOT_SECONDS, every=0.2)
        return time.monotonic() - began

    def _ready(self):
        if self._machine.poll() is not None:
            raise Failed(f"the machine ended with {self._machine.returncode}:\n{self._console_tail()}")
        try:
            return self._ask_shell("systemctl is-active meterd.service", 10)[0] == "active\n"
        except OSError:
            return False

    def cut(self, survives=lambda: False, after_writes=0):
        """Now, or after so many of the disk's writes. What the disk was asked to flush is in the image; of the rest the sectors
        that survive. (how many there were, how many survived)"""
        if after_writes:
            self._arm(after_writes)
            self._disk.wait(WRITES_SECONDS)
            self._armed.unlink()
        for process in (self._disk, self._machine):
            process.kill()
        for process in (self._disk, self._machine):
            process.wait(END_SECONDS)
        return volatile_disk.settle(self._image, self._log, survives)

    def _arm(self, writes):
        new = self._armed.with_suffix(".new")
        new.write_text(str(writes))
        new.rename(self._armed)

    def close(self):
        for process in filter(None, (self._disk, self._machine)):
            process.kill()
            process.wait(END_SECONDS)

    def tail(self, lines=60):
        """What the service said in this boot, or what the machine did if it cannot be asked."""
        try:
            return super().tail(lines)
        except OSError:
            return self._console_tail()

    def _console_tail(self, lines=30):
        return "\n".join(self._console.read_text(errors="replace").splitlines()[-lines:]) if self._console.exists() else ""

    # Commands in it, as root.

    def run(self, *command, check=True, seconds=SHELL_SECONDS):
        text, code = self._ask_shell(shlex.join(map(str, command)), seconds)
        if check and code != 0:
            raise Failed(f"{command} ended with {code} in the machine:\n{text}")
        return subprocess.CompletedProcess(command, code, text)

    def _ask_shell(self, line, seconds):
        """(what it wrote, its exit code); OSError: no answer."""
        with socket.create_connection(("127.0.0.1", self._ports[image.SHELL]), timeout=seconds) as to:
            to.sendall(f"({line}) </dev/null 2>&1; printf 'code=%d' $?; exit\n".encode())
            said = bytearray()
            while piece := to.recv(65536):
                said += piece
        text, found, code = said.decode(errors="replace").rpartition("code=")
        if not found:
            raise ConnectionResetError("the shell ended without an answer")
        return text, int(code)

    def main_process(self):
        return int(self.show("MainPID"))

    def drop_in(self, name, text):
        """A drop-in of the service, in force with the next restart."""
        path = f"/etc/systemd/system/meterd.service.d/{name}.conf"
        self.write(path, f"[Service]\n{text}")
        self.run("systemctl", "daemon-reload")

    def write(self, path, text):
        self.run("sh", "-c", f"mkdir -p {shlex.quote(str(pathlib.Path(path).parent))} && printf %s {shlex.quote(text)} >{path}")

    # Its sockets.

    def connection(self, timeout):
        return http.client.HTTPConnection("127.0.0.1", self._ports[image.API], timeout=timeout)

    @property
    def ingest(self):
        return "127.0.0.1", self._ports[image.INGEST]
