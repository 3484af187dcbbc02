"""What is checked on the booted device, in this order; each check leaves the service running. It returns what it saw, in
a few words, or raises."""

import re
import signal
import time

import load
from harness import Failed, wait_until
from packages import altered

NEXT = "99.0"
START_SECONDS = 60
SETTINGS = """
[[meter]]
event = "sms.sent"
item_price = "sms-usd"
"""

ACCESS_LOG_UNIT = "meterd-access-log.socket"
ACCESS_LOG = """
[[source]]
kind = "access-log"
socket = "/run/meterd/access.sock"
groups = ["daemon"]
event = "sms.sent"
subscription = "sub_calls"
"""


def expect(claim, what):
    if not claim:
        raise Failed(what)


class Checks:
    def __init__(self, machine, package, directory):
        self.machine, self.package, self.directory = machine, package, directory
        self.tally = load.Tally(machine)
        self.config = machine.root / "etc/meterd/meterd.toml"

    def all(self):
        return [
            ("installed, ready, counts with the plain configuration", self.install),
            ("a bad configuration is refused by a reload", self.reload_refused),
            ("a good one is taken over by a reload", self.reload_taken),
            ("a restart with a bad one: the sockets hold until it is mended", self.mended),
            ("an access log's socket, held as the example has it", self.access_log),
            ("hangs: the watchdog restarts it", self.watchdog),
            ("hangs, without the watchdog: stays so (control)", self.no_watchdog),
            ("SIGKILL under load: restarts, loses nothing acknowledged", self.killed),
            ("stop: drains within its limit", self.stop),
            ("SIGKILL instead: what was not committed is lost (control)", self.not_drained),
            ("upgrade under load: loses nothing at all", self.upgrade),
            ("a downgrade that cannot read the journal is refused", self.downgrade),
            ("reboot: starts by itself, with its journal", self.reboot),
            ("a credential is the service's only", self.credential),
            ("removal keeps the journal, the purge says what it held", self.remove),
        ]

    def restart(self):
        self.machine.run("systemctl", "restart", "meterd.service")

    def reload(self, text, event):
        """Until the daemon has said that it did so, or did not."""
        before = len(self.machine.log(event))
        self.config.write_text(text)
        self.machine.run("systemctl", "reload", "meterd.service")
        wait_until(f"the log says {event}", lambda: len(self.machine.log(event)) > before, START_SECONDS, every=0.1)
        return self.machine.log(event)[-1]

    def install(self):
        began = time.monotonic()
        self.machine.install(self.package)
        took = time.monotonic() - began
        for unit in ("meterd.service", "meterd.socket"):
            expect(self.machine.show("ActiveState", unit) == "active", f"{unit} is not active")
            expect(self.machine.show("UnitFileState", unit) == "enabled", f"{unit} is not enabled")
        failed = self.machine.run("systemctl", "--failed", "--no-legend").stdout
        expect(not failed, f"failed: {failed}")
        body = "item_price_id=sms-usd&usage_date=%d&quantity=5" % time.time()
        status, said = load.ask(self.machine, "POST", "/api/v2/subscriptions/sub_plain/usages", body,
                                {"Content-Type": "application/x-www-form-urlencoded"})
        expect(status == 200, f"a usage was answered {status}: {said}")
        self.tally.expected["sub_plain"] = 5
        return f"ready {self.machine.ready_ms():.0f} ms after its start; dpkg took {took:.1f} s"

    def reload_refused(self):
        before = self.config.read_text()
        try:
            said = self.reload(before + SETTINGS + "itemprice = 1\n", "reload_refused")
            expect("itemprice" in said, f"the log does not name the key: {said}")
            expect(load.report(self.machine, "refused") == 400, "the meter of a refused configuration counts")
        finally:
            self.config.write_text(before)
        return "the log names the key; what was in force stays so"

    def reload_taken(self):
        text = self.config.read_text().replace('#trust = "synchronised"', 'trust = "always"')
        process = self.machine.main_process()
        # What takes a restart is refused by a reload: first that, then what a reload can do.
        self.config.write_text(text)
        self.restart()
        expect(self.machine.main_process() != process, "a restart is no restart")
        process = self.machine.main_process()
        self.reload(text + SETTINGS, "reloaded")
        self.tally.check()
        expect(self.machine.main_process() == process, "the process is another one")
        return "its meter counts, in the same process"

    def mended(self):
        before = self.config.read_text()
        sockets = self.machine.show("InvocationID", "meterd.socket")
        self.config.write_text(before + "itemprice = 1\n")
        try:
            done = self.machine.run("systemctl", "restart", "meterd.service", check=False)
            expect(done.returncode != 0, "a bad configuration is started with")
            load.send_datagrams(self.machine, load.UNREAD_MAX)
            restarts = self.machine.restarts()
            wait_until("it is tried again", lambda: self.machine.restarts() >= restarts + 2, START_SECONDS, every=0.1)
        finally:
            self.config.write_text(before)
        wait_until("meterd is ready", lambda: self.machine.show("ActiveState") == "active", START_SECONDS, every=0.1)
        expect(self.machine.show("InvocationID", "meterd.socket") == sockets, "the sockets did not stand")
        self.tally.add_datagrams(load.UNREAD_MAX)
        self.tally.check()
        return f"{load.UNREAD_MAX} datagrams meanwhile are counted"

    def access_log(self):
        units = self.machine.root / "etc/systemd/system"
        example = self.machine.root / "usr/share/doc/meterd/examples/access-log.socket"
        (units / ACCESS_LOG_UNIT).write_text(example.read_text())
        self.config.write_text(self.config.read_text() + ACCESS_LOG)
        self.machine.run("systemctl", "enable", ACCESS_LOG_UNIT)
        self.restart()
        expect(self.machine.show("ActiveState", ACCESS_LOG_UNIT) == "active", "the socket does not stand")
        self.log_calls(3)
        self.machine.run("systemctl", "stop", "meterd.service")
        self.log_calls(5)  # which starts it again
        wait_until("meterd is ready", lambda: self.machine.show("ActiveState") == "active", START_SECONDS, every=0.1)
        self.tally.expected["sub_calls"] = 8
        self.tally.check()
        (source,) = load.ask(self.machine, "GET", "/status")[1]["counting"]["sources"]
        expect(source["trouble"] == "", f"the source says: {source['trouble']}")
        return "5 of 8 calls while meterd was stopped; all are counted"

    def log_calls(self, count):
        command = f"for i in $(seq {count}); do logger --socket /run/meterd/access.sock --tag nginx '{{}}' || exit 1; done"
        self.machine.run("runuser", "--user", "daemon", "--", "sh", "-c", command)

    def watchdog(self):
        self.machine.drop_in("watchdog", "WatchdogSec=3s\n")
        self.restart()
        self.tally.check()
        before = self.machine.restarts()
        self.machine.signal(signal.SIGSTOP)
        took = self.machine.wait_for_restart(before, 120)
        said = self.machine.run("journalctl", "--boot", "--unit", "meterd", "--no-pager").stdout
        expect("Watchdog timeout" in said, "systemd does not say that it was the watchdog")
        self.tally.check()
        return f"ready {took:.1f} s after it hung, with WatchdogSec=3s"

    def no_watchdog(self):
        self.machine.drop_in("watchdog", "WatchdogSec=0\n")
        self.restart()
        before = self.machine.restarts()
        process = self.machine.main_process()
        self.machine.signal(signal.SIGSTOP)
        time.sleep(6)
        expect(self.machine.restarts() == before, "somebody else restarts what hangs")
        self.machine.signal(signal.SIGCONT)
        self.tally.check()
        expect(self.machine.main_process() == process, "the process is another one")
        self.machine.drop_in("watchdog", "")
        self.restart()
        return "for 6 s"

    def killed(self):
        took = []
        with load.under_load(self.machine, datagrams=False) as senders:
            for _ in range(3):
                before = self.machine.restarts()
                self.machine.signal(signal.SIGKILL)
                took.append(self.machine.wait_for_restart(before, START_SECONDS))
                reached = [load.progress(sender) for sender in senders]
                wait_until("the load goes on",
                           lambda: all(load.progress(s) > r for s, r in zip(senders, reached)), START_SECONDS)
        self.tally.add(senders)
        total = self.tally.check()
        repeated = sum(sender.repeated for sender in senders)
        return f"3 times; back after at most {max(took):.1f} s (RestartSec=2s); {total} counted, {repeated} batches repeated"

    def stop(self):
        load.send_datagrams(self.machine, 300)
        began = time.monotonic()
        self.machine.run("systemctl", "stop", "meterd.socket", "meterd.service")
        took = time.monotonic() - began
        limit = self.machine.show("TimeoutStopUSec")
        expect(self.machine.show("ActiveState") == "inactive", "it is not stopped")
        expect(self.machine.show("Result") == "success", f"it ended with {self.machine.show('Result')}")
        expect(limit == "1min", f"the limit is {limit}")
        self.machine.run("systemctl", "start", "meterd.socket", "meterd.service")
        self.tally.add_datagrams(300)
        self.tally.check()
        return f"in {took:.2f} s of {limit}; 300 datagrams that were not committed yet are counted"

    def not_drained(self):
        status = lambda: load.ask(self.machine, "GET", "/status")[1]["counting"]["events"]  # noqa: E731
        self.tally.commit()
        counted = status()
        load.send_datagrams(self.machine, 300)
        wait_until("the datagrams are read", lambda: status() == counted + 300, START_SECONDS)
        before = self.machine.restarts()
        self.machine.signal(signal.SIGKILL)
        self.machine.wait_for_restart(before, START_SECONDS)
        self.tally.check()
        return "300 datagrams of the last seconds (commit_interval)"

    def next_package(self):
        return altered(self.package, self.directory / "next.deb", NEXT)

    def upgrade(self):
        package = self.next_package()
        sockets = self.machine.show("InvocationID", "meterd.socket")
        process = self.machine.main_process()
        with load.under_load(self.machine) as senders:
            began = time.monotonic()
            self.machine.install(package)
            took = time.monotonic() - began
            reached = [load.progress(sender) for sender in senders]
            wait_until("the load goes on", lambda: all(load.progress(s) > r for s, r in zip(senders, reached)), START_SECONDS)
        expect(self.machine.main_process() not in (0, process), "the process is the old one")
        expect(self.machine.show("InvocationID", "meterd.socket") == sockets, "the sockets did not stand")
        self.tally.add(senders)
        total = self.tally.check()
        shown = self.machine.run("dpkg-query", "--show", "--showformat", "${Version}", "meterd").stdout
        expect(shown == NEXT, f"installed is {shown}")
        return f"dpkg took {took:.1f} s; {total} counted, of these {senders[-1].sent} datagrams meanwhile"

    def downgrade(self):
        process = self.machine.main_process()
        # As if that version had a journal of its own format.
        lock = self.machine.root / "var/lib/meterd/meterd.lock"
        text = lock.read_text()
        lock.write_text(re.sub(r"format=(\d+) ", lambda m: f"format={int(m[1]) + 1} ", text))
        said, code = self.machine.install(self.package, check=False)
        lock.write_text(text)
        expect(code != 0 and "Nothing was changed" in said, f"dpkg ended with {code}: {said}")
        shown = self.machine.run("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", "meterd").stdout
        expect(shown == f"installed {NEXT}", f"installed is {shown}")
        self.tally.check()
        expect(self.machine.main_process() == process, "the process is another one")
        return "before it was unpacked; the newer one counts on in the same process"

    def reboot(self):
        load.send_datagrams(self.machine, 100)
        self.tally.add_datagrams(100)
        began = time.monotonic()
        self.machine.reboot()
        wait_until("meterd is ready", lambda: self.machine.show("ActiveState") == "active", START_SECONDS, every=0.1)
        took = time.monotonic() - began
        total = self.tally.check()
        return f"ready {self.machine.ready_ms():.0f} ms after its start, {took:.1f} s after the command; {total} counted"

    def credential(self):
        secret = self.machine.root / "etc/meterd/credentials/api-key"
        secret.parent.mkdir(mode=0o700)
        secret.touch(mode=0o600)
        secret.write_text("k-4711\n")
        text = self.config.read_text()
        self.config.write_text(text.replace('#chargebee_key = { credential', 'chargebee_key = { credential'))
        self.machine.drop_in("credential", "LoadCredential=api-key:/etc/meterd/credentials/api-key\n")
        self.restart()
        # Over TCP, which takes the key: the service has read it.
        for key, wanted in (("k-4711", "200"), ("another", "401")):
            script = (f'exec 3<>/dev/tcp/127.0.0.1/8480; printf "GET /api/v2/usages HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n'
                      f'Authorization: Basic %s\\r\\n\\r\\n" $(printf %s {key}: | base64) >&3; head -n1 <&3')
            said = self.machine.run("bash", "-c", script).stdout
            expect(f" {wanted} " in said, f"with the key {key!r} the answer is {said!r}")
        self.machine.run("useradd", "--groups", "meterd", "technician")
        for user in ("nobody", "technician"):
            for file in ("/run/credentials/meterd.service/api-key", "/etc/meterd/credentials/api-key"):
                done = self.machine.run("runuser", "--user", user, "--", "cat", file, check=False)
                expect(done.returncode != 0 and "k-4711" not in done.stdout, f"{user} reads {file}")
        for file in ("/run/credentials/meterd.service/api-key", "/etc/meterd/credentials/api-key"):
            expect("k-4711" in self.machine.run("cat", file).stdout, f"root does not read {file} (control)")
        self.machine.drop_in("credential", "")
        self.config.write_text(text)
        self.restart()
        self.tally.check()
        return "the service answers to it; nobody and a member of the group meterd cannot read it"

    def remove(self):
        self.tally.check()
        said = self.machine.run("dpkg", "--remove", "meterd").stdout
        expect("journal stays" in said, f"dpkg said {said}")
        for unit in ("meterd.service", "meterd.socket", ACCESS_LOG_UNIT):
            expect(self.machine.show("ActiveState", unit) == "inactive", f"{unit} still runs")
        journal = self.machine.root / "var/lib/meterd"
        expect((journal / "data.mdb").exists(), "the journal is gone")
        said = self.machine.run("dpkg", "--purge", "meterd").stdout
        total = sum(self.tally.expected.values())
        held = f"ledger sms-usd: {total - 5}, of 0 usages and"
        expect(held in said and "ledger sms-usd: 5\n" in said, f"not {held} in: {said}")
        expect(not journal.exists(), "the journal is still there")
        return "stopped, kept; " + held.split(",")[0] + " open, 5 in the ledger: as counted"

