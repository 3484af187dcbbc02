"""How systemd starts a service that finds descriptors from FIRST on (sd_listen_fds(3)): sockets that are bound before it
and kept while it does not run, and what it has put into its store (service_manager.py)."""

import contextlib
import os
import socket

FIRST = 3
OUT_OF_THE_WAY = 300


def hold_datagrams(path):
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # PassCredentials=yes
    held.bind(str(path))
    os.chmod(path, 0o666)
    return held


@contextlib.contextmanager
def passing(sockets, store=None):
    """A command that becomes the one behind it, which finds the descriptors; and those that its process must be left."""
    passed = [("socket", one.fileno()) for one in sockets] + sorted(store.kept().items() if store else ())
    if not passed:
        yield [], ()
        return
    if len(passed) > OUT_OF_THE_WAY - FIRST:
        raise ValueError(f"{len(passed)} descriptors")
    moved = [os.dup2(fd, OUT_OF_THE_WAY + at) for at, (_, fd) in enumerate(passed)]
    places = " ".join(f"{FIRST + at}<&{fd} {fd}<&-" for at, fd in enumerate(moved))
    names = ":".join(name for name, _ in passed)
    script = f'export LISTEN_FDS={len(moved)} LISTEN_FDNAMES={names} LISTEN_PID=$$; exec "$@" {places}'
    try:
        yield ["bash", "-c", script, "bash"], moved
    finally:
        for fd in moved:
            os.close(fd)
