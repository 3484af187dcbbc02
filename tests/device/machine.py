"""A Debian 12 system that is booted in a container, with systemd as its first process: its root, commands in it, its
end. The host's programs reach its files below `directory` and its sockets through /proc."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

from harness import Failed, UnixConnection, wait_until
from packages import run
from service import Service

BOOT_SECONDS = 120
REBOOT = 133  # how systemd-nspawn says that the container wants to be started again


class Machine(Service):
    def __init__(self, root, directory):
        self.root = pathlib.Path(directory) / "root"
        self._log = pathlib.Path(directory) / "boot.log"
        run("cp", "--archive", "--reflink=auto", root, self.root)
        self._container = self._leader = None

    def boot(self):
        """Until its first process has started everything."""
        command = ["systemd-nspawn", "--quiet", "--boot", "--directory", str(self.root), "--machine", f"meterd-{os.getpid()}",
                   "--register=no", "--keep-unit", "--private-network", "--console=pipe"]
        with open(self._log, "ab") as log:
            self._container = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def booted():
            if self._container.poll() is not None:
                raise Failed(f"the container ended with {self._container.returncode}:\n{self._log.read_text()}")
            self._leader = self._find_leader()
            if self._leader is None:
                return False
            return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

        wait_until("the system is booted", booted, BOOT_SECONDS, every=0.1)

    def reboot(self):
        self.run("systemctl", "reboot")
        code = self._container.wait(BOOT_SECONDS)
        if code != REBOOT:
            raise Failed(f"the container ended with {code}:\n{self._log.read_text()}")
        self.boot()

    def _find_leader(self):
        """The container's first process: the child that is number 1 in there."""
        children = pathlib.Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children")
        for child in children.read_text().split():
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{child}/status").read_text()
                numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
                if len(numbers) > 1 and numbers[-1] == "1":
                    return int(child)
        return None

    def run(self, *command, check=True, **options):
        return run("nsenter", "--target", self._leader, "--all", *command, check=check, **options)

    def install(self, package, check=True):
        """(what dpkg said, its exit code)"""
        shutil.copy(package, self.root / "root")
        done = self.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--install", f"/root/{package.name}", check=check)
        return done.stdout, done.returncode

    # The service.

    def main_process(self):
        """Its number here, on the host; 0: none."""
        inside = self.show("MainPID")
        if inside == "0":
            return 0
        for line in self.run("cat", f"/proc/{inside}/status", check=False).stdout.splitlines():
            if line.startswith("NSpid:"):
                return self._on_host(inside)
        return 0

    def _on_host(self, inside):
        """Of all with that number in some container, the one whose root is this one's."""
        mine = os.stat(f"/proc/{self._leader}/ns/pid").st_ino
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError, StopIteration):
                numbers = next(line.split()[1:] for line in status.read_text().splitlines() if line.startswith("NSpid:"))
                if numbers[-1] == inside and len(numbers) > 1 and os.stat(status.parent / "ns/pid").st_ino == mine:
                    return int(status.parent.name)
        return 0

    def signal(self, number):
        os.kill(self.main_process(), number)

    def wait_for_restart(self, before, seconds):
        """Seconds until it was restarted by itself, after the number of restarts `before`, and is ready."""
        began = time.monotonic()
        wait_until("meterd is restarted and ready",
                   lambda: self.restarts() > before and self.show("ActiveState") == "active", seconds, every=0.1)
        return time.monotonic() - began

    def drop_in(self, name, text):
        """A drop-in of the service; "" takes it away. In force with the next restart."""
        directory = self.root / "etc/systemd/system/meterd.service.d"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.conf").unlink(missing_ok=True)
        if text:
            (directory / f"{name}.conf").write_text(f"[Service]\n{text}")
        self.run("systemctl", "daemon-reload")

    # Its sockets, of the container's network and files, as its root.

    def socket(self, name):
        return f"/proc/{self._leader}/root/run/meterd/{name}.sock"

    def connection(self, timeout):
        return UnixConnection(self.socket("api"), timeout)

    def close(self):
        if self._container and self._container.poll() is None:
            self._container.send_signal(signal.SIGTERM)  # powers off
            try:
                self._container.wait(60)
            except subprocess.TimeoutExpired:
                self._container.kill()
                self._container.wait()
