"""What systemd's socket activation does for a service: sockets that are bound before it, kept while it does not run,
and passed to each of its processes (sd_listen_fds(3)).

    activation.py FD,FD,... COMMAND...   (run by start_activated: becomes the command, which finds the sockets from 3 on)
"""

import os
import subprocess
import sys

from harness import READY_SECONDS, wait_until

FIRST = 3
OUT_OF_THE_WAY = 200


def start_activated(device, sockets, environment=None):
    """Starts the device's meterd with these sockets and waits until it answers."""
    moved = [os.dup2(one.fileno(), OUT_OF_THE_WAY + at) for at, one in enumerate(sockets)]
    command = [sys.executable, __file__, ",".join(map(str, moved)), device.meterd, "--config",
               str(device.config_file)]
    try:
        with open(device.log_file, "ab") as log:
            device.process = subprocess.Popen(command, stdout=log, stderr=log, pass_fds=moved, env=environment)
    finally:
        for fd in moved:
            os.close(fd)
    wait_until("GET /healthz answers 200", device._healthy, READY_SECONDS)


def main():
    moved = [int(fd) for fd in sys.argv[1].split(",")]
    for at, fd in enumerate(moved):
        os.dup2(fd, FIRST + at)
        os.set_inheritable(FIRST + at, True)
        os.close(fd)
    os.environ.update(LISTEN_FDS=str(len(moved)), LISTEN_PID=str(os.getpid()))
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
