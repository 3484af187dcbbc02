#!/usr/bin/python3
"""A real nginx logs 100,000 API calls to meterd, which is restarted meanwhile; every call is counted, or shown as lost.

nginx is set up by systemd/examples/nginx-meterd.conf. Everything runs in a network namespace of its own, whose queue of
datagrams is as long as systemd makes it. The calls are counted where they are made, by their answers. What is counted
and what meterd shows as lost must be together what was made, to the unit. The control ignores the numbers of the
messages: what was lost is then not seen, and the sums must differ.
"""

import argparse
import ctypes
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from activation import hold_datagrams
from harness import ROOT, STOP_SECONDS, Device, Failed, wait_until

CLONE_NEWNET = 0x40000000
QUEUE = 512  # datagrams: what systemd sets
# Calls a second that the queue holds for as long as a restart takes; nginx's two send buffers hold fewer than it.
RATE_OF_RESTART = 150
PORT = 8080
CONNECTIONS = 4
TICK_SECONDS = 0.01
SETTLE_SECONDS = 20
EXAMPLE = ROOT / "systemd" / "examples" / "nginx-meterd.conf"
SOCKET_OF_EXAMPLE = "unix:/run/meterd/access.sock,"
REQUEST = b"GET /api/x HTTP/1.1\r\nHost: gateway\r\nX-Api-Key: key-of-acme\r\n\r\n"
ANSWER_END = b"\r\n\r\nanswered"


def enter_namespace():
    """This process and all that it starts have a network of their own, in which only loopback is up."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise Failed(f"no network namespace: {os.strerror(ctypes.get_errno())}; run this test as root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    pathlib.Path("/proc/sys/net/unix/max_dgram_qlen").write_text(str(QUEUE))


class Nginx:
    """Two workers with the example's configuration, logging to `log_socket`."""

    def __init__(self, directory, log_socket):
        example = EXAMPLE.read_text()
        if example.count(SOCKET_OF_EXAMPLE) != 1:
            raise Failed(f"{EXAMPLE} does not log to {SOCKET_OF_EXAMPLE}")
        (directory / "meterd.conf").write_text(example.replace(SOCKET_OF_EXAMPLE, f"unix:{log_socket},"))
        config = directory / "nginx.conf"
        config.write_text(f"""load_module modules/ngx_http_perl_module.so;
user www-data;
worker_processes 2;
daemon off;
pid {directory}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{PORT} reuseport;
    location /api/ {{ return 200 "answered"; }}
  }}
  include {directory}/meterd.conf;
}}
""")
        command = ["nginx", "-e", str(directory / "nginx.log"), "-c", str(config)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until("nginx listens", self._listens, STOP_SECONDS)

    def _listens(self):
        if self._process.poll() is not None:
            raise Failed(f"nginx ended with {self._process.returncode}; are nginx and libnginx-mod-http-perl there?")
        try:
            socket.create_connection(("127.0.0.1", PORT)).close()
            return True
        except OSError:
            return False

    def stop(self):
        self._process.terminate()
        self._process.wait(STOP_SECONDS)


class Callers(threading.Thread):
    """Makes `calls` calls over a few connections, `rate` a second, which may change; `answered` counts those that nginx
    served."""

    def __init__(self, calls, rate):
        super().__init__()
        self.calls, self.rate, self.answered, self.error = calls, rate, 0, None

    def run(self):
        try:
            connections = [socket.create_connection(("127.0.0.1", PORT), timeout=10) for _ in range(CONNECTIONS)]
            due, last = 0.0, time.monotonic()
            while self.answered < self.calls:
                now = time.monotonic()
                due, last = due + (now - last) * self.rate, now
                count = min(int(due), self.calls - self.answered)
                due -= count
                for number, connection in enumerate(connections):
                    self._call(connection, count // CONNECTIONS + (number < count % CONNECTIONS))
                time.sleep(TICK_SECONDS)
            for connection in connections:
                connection.close()
        except Exception as error:  # shown by the main thread, which ends the test
            self.error = error

    def _call(self, connection, count):
        connection.sendall(REQUEST * count)
        answers = b""
        while answers.count(ANSWER_END) < count:
            came = connection.recv(1 << 16)
            if not came:
                raise Failed("nginx closed a connection")
            answers += came
        self.answered += count


class Sums:
    """What the device says of the calls."""

    def __init__(self, device):
        self.counted = sum(int(row["accepted"]) for row in device.balances().values())
        status = device.get("/status")["counting"]
        [source] = [one for one in status["sources"] if one["kind"] == "access-log"]
        self.lost, self.gaps = source["lost"], source["gaps"]
        self.refused = sum(status["refused"].values())

    def __str__(self):
        return f"{self.counted} counted, {self.lost} shown as lost in {self.gaps} gaps, {self.refused} refused"


def configure(device, log_socket, numbered):
    numbers = 'worker_field = "worker"\nsequence_field = "seq"\n' if numbered else ""
    device.write_config((("api.call", "calls-usd"),), sources=f"""[[source]]
kind = "access-log"
socket = "{log_socket}"
groups = ["www-data"]
event = "api.call"
subscription_field = "sub"
status = ["2xx"]
path_prefix = ["/api/"]
{numbers}""")


def run(device, directory, log_socket, calls, rate, restarts, rate_of_restart):
    """The device's sums once they are what was made, or no more time is left for that."""
    device.start()
    nginx = Nginx(directory, log_socket)
    try:
        callers = Callers(calls, rate)
        callers.start()
        for number, restart in enumerate(restarts, 1):
            part = calls * number // (len(restarts) + 1)
            wait_until(f"{part} calls", lambda: callers.error or callers.answered >= part, calls / rate + SETTLE_SECONDS)
            callers.rate = rate_of_restart
            device.kill() if restart == "SIGKILL" else device.terminate()
            device.start()
            callers.rate = rate
        callers.join(calls / rate + SETTLE_SECONDS)
        if callers.error or callers.is_alive():
            raise Failed(f"the calls were not all answered: {callers.error}")
    finally:
        nginx.stop()
    deadline = time.monotonic() + SETTLE_SECONDS
    sums, before = Sums(device), None
    # The window that is open is committed within commit_interval; what is seen twice a second apart stays.
    while sums.counted + sums.lost != calls and time.monotonic() < deadline and str(before) != str(sums):
        time.sleep(1)
        before, sums = sums, Sums(device)
    return sums


def verdict(name, sums, calls, expected_lost=None):
    print(f"{name}: {calls} calls, {sums}", flush=True)
    if sums.counted + sums.lost != calls:
        return f"{name}: {calls} calls were made, {sums}: {calls - sums.counted - sums.lost} are nowhere"
    if expected_lost is not None and sums.lost != expected_lost:
        return f"{name}: {sums.lost} are lost, and nothing may be while the socket is held"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for program in ("meterd", "meterctl", "sandbox"):
        parser.add_argument(f"--{program}", required=True)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=4_000)
    parser.add_argument("--held", action="store_true", help="the socket is held while meterd restarts")
    parser.add_argument("--kill", action="store_true", help="with --held: by SIGKILL, which takes what is in memory")
    parser.add_argument("--control", action="store_true", help="ignore the numbers; the sums must differ")
    options = parser.parse_args()
    enter_namespace()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-access-log-"))
    directory.chmod(0o755)  # nginx's workers find the socket in it
    log_socket = directory / "access.sock"
    device = Device(options.meterd, options.meterctl, directory / "device")
    configure(device, log_socket, numbered=not options.control)
    restarts = ["SIGTERM", "SIGKILL", "SIGKILL", "SIGTERM", "SIGKILL"]
    if options.held:
        restarts = ["SIGKILL" if options.kill else "SIGTERM"] * 5
    try:
        if options.held:
            device.held.append(hold_datagrams(log_socket))
        sums = run(device, directory, log_socket, options.calls, options.rate, restarts,
                   RATE_OF_RESTART if options.held else options.rate)
        name = "held socket" if options.held else "own socket"
        wrong = verdict(name, sums, options.calls, expected_lost=0 if options.held and not options.kill else None)
        if options.control:
            wrong = None if wrong else "the control found nothing wrong, although it ignored the numbers"
        if not wrong and "SIGKILL" in restarts and not options.control and sums.lost == 0:
            wrong = "nothing was lost through SIGKILLs: this run has shown nothing"
        if wrong:
            print(wrong, device.log_tail(), sep="\n")
        return 1 if wrong else 0
    finally:
        device.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
