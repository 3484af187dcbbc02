"""[access]: what others than root may report over each socket, and sockets that the service manager keeps."""

import json
import socket
import subprocess
import sys

from contract_case import ContractTest
from frames import frame
from harness import wait_until

DAEMON = 1  # a user that every Debian system has, and that is in no group of ours
ACCESS_LOG = """[[source]]
kind = "access-log"
event = "sms.sent"
subscription = "sub_1"
socket = "{directory}/access.sock"
groups = ["daemon"]
"""
RULES = """[[access.allow]]
user = "daemon"
events = ["sms.sent"]
subscriptions = ["sub_1"]
[[access.allow]]
input = "udp:127.0.0.1:{udp}"
subscriptions = ["sub_udp"]
"""
SEND = """import socket, sys
path, lines = sys.argv[1], sys.argv[2:]
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for line in lines:
    sender.sendto(line.encode(), path)
"""
ASK = """import http.client, socket, sys
path, target, body = sys.argv[1:]
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(path)
connection.request("POST", target, body, {"Content-Type": "application/cloudevents-batch+json"})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""
FRAME = """import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(bytes.fromhex(sys.argv[2]))
print(connection.recv(65536).hex())
"""


def as_user(user, script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, user=user, group=user, extra_groups=[], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def line(subscription, event="sms.sent"):
    return f"{event}:1|c|#subscription:{subscription}"


class Access(ContractTest):
    def setUp(self):
        super().setUp()
        for directory in (self.directory, self.device.directory):
            directory.chmod(0o755)

    def start_with(self, rules):
        self.start(sources=rules.format(udp=self.device.udp_port))

    def wait_counted(self, expected, item_price="sms-usd"):
        wait_until(f"{expected} are counted", lambda: str(self.counted(item_price)) == expected, 20)

    def event(self, subscription):
        return {"specversion": "1.0", "id": f"e-{subscription}", "source": "s", "type": "sms.sent",
                "subject": subscription, "data": {"quantity": "1"}}

    def test_a_user_reports_over_each_socket_what_a_rule_names_and_nothing_else(self):
        self.start_with(RULES)
        lines = [line("sub_1"), line("sub_2"), line("sub_1", "api.call"), line("sub_1")]
        self.assertEqual(as_user(DAEMON, SEND, self.device.statsd, *lines), (0, ""))
        self.wait_counted("2")
        self.assertEqual(self.refused(), {"not_allowed": 2})

        batch = self.batch([{"subscription": "sub_1"}, {"subscription": "sub_2"}])
        framed = frame(batch.SerializeToString())
        code, answer = as_user(DAEMON, FRAME, self.device.ingest, framed.hex())
        self.assertEqual(code, 0, answer)
        ack = self.messages.Ack.FromString(bytes.fromhex(answer.strip())[8:])
        self.assertEqual((ack.counted, [error.code for error in ack.errors]), (1, ["not_allowed"]))

        body = json.dumps([self.event("sub_1"), self.event("sub_2")])
        code, answer = as_user(DAEMON, ASK, self.device.api, "/events", body)
        self.assertTrue(answer.startswith("400 "), answer)
        self.assertIn('"counted":1', answer)
        self.assertIn("not_allowed", answer)
        self.wait_counted("4")

        for target in ("/operator/flush", "/api/v2/subscriptions/sub_1/usages"):
            self.assertTrue(as_user(DAEMON, ASK, self.device.api, target, "")[1].startswith("403 "), target)
        wait_until("the refusals are audited", lambda: "user 1" in self.device.ctl("audit")[1], 90, every=1)

    def test_who_is_named_nowhere_is_refused_and_shown(self):
        self.start_with(RULES)
        self.assertEqual(as_user(2, SEND, self.device.statsd, line("sub_1"))[0], 0)
        wait_until("it is refused", lambda: self.refused() == {"not_allowed": 1}, 20)
        self.assertTrue(as_user(2, ASK, self.device.api, "/events", "[]")[1].startswith("401 "))
        self.assertEqual(str(self.counted()), "0")

    def test_without_rules_the_sockets_are_the_groups_alone(self):
        self.start()
        code, said = as_user(DAEMON, SEND, self.device.statsd, line("sub_1"))
        self.assertNotEqual(code, 0)
        self.assertIn("Permission denied", said)

    def test_an_access_log_takes_the_messages_of_its_groups_alone(self):
        self.start(sources=ACCESS_LOG.format(directory=self.directory))
        for user in (2, DAEMON):
            self.assertEqual(as_user(user, SEND, self.directory / "access.sock", "{}"), (0, ""))
        self.wait_counted("1")
        self.assertEqual(self.refused(), {"not_allowed": 1})

    def test_an_input_without_a_peer_has_its_own_subscriptions(self):
        self.start_with(RULES)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for subscription in ("sub_udp", "sub_1", "sub_udp"):
                sender.sendto(line(subscription).encode(), ("127.0.0.1", self.device.udp_port))
        self.wait_counted("2")
        self.assertEqual(self.refused(), {"not_allowed": 1})


class InheritedSockets(ContractTest):
    """As systemd's socket activation does it: bound before meterd, kept while it does not run."""

    def keep_sockets(self):
        for kind, path in ((socket.SOCK_DGRAM, self.device.statsd), (socket.SOCK_STREAM, self.device.ingest),
                           (socket.SOCK_STREAM, self.device.api)):
            one = socket.socket(socket.AF_UNIX, kind)
            self.addCleanup(one.close)
            one.bind(str(path))
            if kind == socket.SOCK_STREAM:
                one.listen(64)
            else:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self.device.held.append(one)

    def test_nothing_is_lost_while_meterd_does_not_run(self):
        self.device.write_config((("sms.sent", "sms-usd"),))
        self.keep_sockets()
        self.device.start()
        sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sender.close)
        for _ in range(3):
            sender.sendto(line("sub_1").encode(), str(self.device.statsd))
            self.terminate()
            sender.sendto(line("sub_1").encode(), str(self.device.statsd))  # nobody reads
            self.device.start()
        wait_until("all are counted", lambda: str(self.counted()) == "6", 20)

    def test_those_that_keep_out_who_may_report_are_told(self):
        log = self.directory / "access.sock"
        rules = RULES.format(udp=self.device.udp_port) + ACCESS_LOG.format(directory=self.directory)
        self.device.write_config((("sms.sent", "sms-usd"),), sources=rules)
        self.keep_sockets()
        held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(held.close)
        held.bind(str(log))
        self.device.held.append(held)
        for path in (self.device.statsd, self.device.ingest, log):
            path.chmod(0o660)
        self.device.api.chmod(0o666)
        self.device.start()
        told = [line for line in self.device.log_file.read_text().splitlines() if "socket_closed_to_others" in line]
        self.assertEqual([path.name in line for line in told for path in (self.device.statsd, self.device.ingest)],
                         [True, False, False, True], told)
        (source,) = self.device.get("/status")["counting"]["sources"]
        self.assertIn("the mode of its socket", source["trouble"])
        self.assertIn("SocketMode=0666", source["do"])
        log.chmod(0o666)
        self.device.terminate()
        self.device.start()
        self.assertEqual(self.device.get("/status")["counting"]["sources"][0]["trouble"], "")

    def test_sockets_that_no_key_names_are_told(self):
        self.device.write_config((("sms.sent", "sms-usd"),))
        self.keep_sockets()
        stray = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(stray.close)
        stray.bind(str(self.directory / "stray.sock"))
        self.device.held.append(stray)
        self.device.start()
        self.assertIn("event=inherited_sockets_unused", self.device.log_file.read_text())
