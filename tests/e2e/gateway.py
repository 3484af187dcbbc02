"""A gateway and its subscribers, in network namespaces of their own: traffic of known size over a veth pair.

The calling process moves into a new network namespace, which is the gateway's; the subscribers' is that of a child. So
nothing outside is touched, and all of it is gone with its processes. Addresses are resolved by hand and IPv6 is off:
nothing passes the link that was not sent here.
"""

import os
import random
import subprocess
import sys
import threading

LINK, FAR_LINK = "wwan0", "lan0"
GATEWAY = "10.0.0.1"
GATEWAY_MAC, LAN_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
PORT = 9
IP_HEADERS = 20 + 8  # IPv4 and UDP: what a rule counts of a packet beside its payload
LINK_HEADERS = IP_HEADERS + 14  # and Ethernet: what the interface counts
INSIDE = "METERD_TEST_GATEWAY"


def enter():
    """Starts this program again in a network namespace of its own, as root there. Returns when it is inside."""
    if os.environ.get(INSIDE):
        return run("ip", "link", "set", "lo", "up")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    environment = dict(os.environ, **{INSIDE: "1"})
    command = ["unshare", "--net", *user, sys.executable, *sys.argv]
    os.execvpe(command[0], command, environment)


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


SENDER = """
import socket, sys
sockets = {}
for line in sys.stdin:
    source, size, count = line.split()
    if source not in sockets:
        sockets[source] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets[source].bind((source, 0))
    for _ in range(int(count)):
        sockets[source].sendto(bytes(int(size)), ("%s", %d))
    print("sent", flush=True)
""" % (GATEWAY, PORT)


class Lan:
    """Where the subscribers are. What was sent is known to the byte: `bytes_of` an address as a rule of nftables counts
    it, `link_bytes` as the interface does."""

    def __init__(self, addresses):
        self.addresses = list(addresses)
        self.bytes_of = dict.fromkeys(self.addresses, 0)
        self.link_bytes = 0
        self._lock = threading.Lock()
        self._place = subprocess.Popen(["unshare", "--net", "sleep", "3600"])
        self._sender = None
        self._wait_for_place()
        without_ipv6 = ("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
        run(*without_ipv6)
        run(*self.inside(*without_ipv6))
        self.make_link()

    def _wait_for_place(self):
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self._place.pid}/ns/net") == ours:
            if self._place.poll() is not None:
                raise RuntimeError("no network namespace for the subscribers")

    def inside(self, *command):
        return ["nsenter", "--target", str(self._place.pid), "--net", *command]

    def make_link(self):
        """Also again: an interface that is made anew, as a modem that comes back."""
        self._stop_sender()
        run("ip", "link", "add", LINK, "address", GATEWAY_MAC, "type", "veth", "peer", "name", FAR_LINK, "address",
            LAN_MAC)
        run("ip", "link", "set", FAR_LINK, "netns", str(self._place.pid))
        run("ip", "address", "add", GATEWAY + "/24", "dev", LINK)
        run("ip", "link", "set", LINK, "arp", "off", "up")
        far = [f"link set {FAR_LINK} arp off", *(f"address add {one}/24 dev {FAR_LINK}" for one in self.addresses),
               f"link set {FAR_LINK} up", f"neigh replace {GATEWAY} lladdr {GATEWAY_MAC} dev {FAR_LINK}"]
        run(*self.inside("ip", "-batch", "-"), text="\n".join(far) + "\n")
        self._sender = subprocess.Popen(self.inside(sys.executable, "-u", "-c", SENDER), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def remove_link(self):
        self._stop_sender()
        run("ip", "link", "delete", LINK)

    def send(self, address, size, count=1):
        """Returns when the packets have left: a veth pair hands them over at once."""
        with self._lock:
            self._sender.stdin.write(f"{address} {size} {count}\n")
            self._sender.stdin.flush()
            if self._sender.stdout.readline() != "sent\n":
                raise RuntimeError("the subscribers' sender has ended")
            self.bytes_of[address] += count * (size + IP_HEADERS)
            self.link_bytes += count * (size + LINK_HEADERS)

    def _stop_sender(self):
        if self._sender:
            self._sender.stdin.close()
            self._sender.wait(10)
            self._sender.stdout.close()
            self._sender = None

    def stop(self):
        self._stop_sender()
        self._place.kill()
        self._place.wait(10)


class Traffic:
    """Packets of every size from every address, until the end of the `with`."""

    def __init__(self, lan, seed):
        self._lan, self._draws, self._over = lan, random.Random(seed), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error = None

    def _run(self):
        try:
            while not self._over.is_set():
                self._lan.send(self._draws.choice(self._lan.addresses), self._draws.randrange(1, 1400),
                               self._draws.randrange(1, 20))
                self._over.wait(0.002)
        except RuntimeError as error:
            self._error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        if self._error:
            raise self._error
