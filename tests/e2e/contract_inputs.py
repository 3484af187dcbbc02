"""Bad input over each socket: a clear refusal, counted in /status, and everybody else is counted as before."""

import contextlib
import http.client
import json
import socket
import struct
import threading
import time

from contract_case import ContractTest
from frames import MAGIC, frame
from harness import wait_until

STALL_SECONDS = 2.0  # nobody else waits longer than this while one producer misbehaves
MEMORY_MAX_KIB = 96 * 1024
FLOOD_LINES = 40_000


class FramedInput(ContractTest):
    def test_bad_events_are_refused_by_position_and_the_others_stand(self):
        self.start()
        bad = [
            ({"name": "nobody.knows"}, "unknown_event"),
            ({"subscription": ""}, "missing_subscription"),
            ({"quantity": "abc"}, "bad_quantity"),
            ({"quantity": "1e3"}, "bad_quantity"),
            ({"quantity": "0"}, "bad_quantity"),
            ({"quantity": "-1"}, "bad_quantity"),
            ({"quantity": "1" * 41}, "bad_quantity"),
            ({"time_ms": 1}, "too_old"),
            ({"time_ms": int(time.time() * 1000) + 3_600_000}, "in_future"),
            ({"id": "x" * 101}, "bad_id"),
        ]
        events = [{}] + [event for event, _ in bad] + [{"quantity": "0.5"}]
        ack = self.connect().ask(self.batch(events, producer="p"))
        self.assertEqual(ack.counted, 2)
        self.assertEqual([error.position for error in ack.errors], list(range(1, len(bad) + 1)))
        self.assertEqual([error.code for error in ack.errors], [code for _, code in bad])
        self.assertTrue(all(error.message for error in ack.errors))
        self.assertEqual(str(self.counted()), "1.5")
        refused = self.refused()
        for code in {code for _, code in bad}:
            self.assertEqual(refused[code], [each for _, each in bad].count(code), code)

    def test_a_frame_that_breaks_the_protocol_is_answered_and_closed(self):
        self.start()
        frames = [
            (struct.pack(">4sI", MAGIC, (1 << 20) + 1), "too_large"),
            (struct.pack(">4sI", MAGIC, 0xFFFFFFFF), "too_large"),
            (frame(self.batch(1).SerializeToString(), magic=b"mtr\x02"), "malformed"),  # another version
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "malformed"),
            (frame(b"\xff" * 40), "malformed"),  # no Batch
        ]
        codes = []
        for data, code in frames:
            codes.append(code)
            with self.subTest(data[:12]):
                connection = self.connect()
                connection.ask(self.batch(1))
                connection.send_bytes(data)
                self.assertNotEqual(connection.receive().error, "")
                self.assertTrue(connection.closed_by_peer())
                self.assertEqual(self.counted(), len(codes))  # what was acknowledged before stands
                self.assertEqual(self.refused()[code], codes.count(code))

    def test_too_many_events_are_refused_whole_and_the_connection_stays(self):
        self.start()
        connection = self.connect()
        self.assertNotEqual(connection.ask(self.batch(10_001)).error, "")
        self.assertEqual(connection.ask(self.batch(10_000)).counted, 10_000)
        self.assertEqual(self.counted(), 10_000)

    def test_half_a_frame_and_a_disconnect_is_counted_and_harms_nobody(self):
        self.start()
        whole = frame(self.batch(3).SerializeToString())
        for size in (3, 8, len(whole) - 1):
            connection = self.connect()
            connection.send_bytes(whole[:size])
            connection.close()
        wait_until("three half frames are counted", lambda: self.refused().get("malformed") == 3, 5)
        self.assertEqual(self.report(2).counted, 2)
        self.assertEqual(self.counted(), 2)

    def test_answers_come_in_the_order_of_the_batches(self):
        self.start()
        connection = self.connect()
        for size in range(1, 60):  # more than may be in flight at once
            connection.send(self.batch(size, ack=size % 2))
        self.assertEqual([connection.receive().counted for _ in range(1, 60)], list(range(1, 60)))

    def test_a_sequence_and_an_id_count_once(self):
        self.start()
        connection = self.connect()
        for _ in range(3):
            ack = connection.ask(self.batch(5, producer="p" * 30, sequence=1))
            self.assertEqual(ack.counted + ack.duplicates, 5)
            connection.ask(self.batch([{"id": "one"}, {"id": "one"}, {"id": "two"}], producer="p"))
        self.assertEqual(self.counted(), 7)
        self.device.kill()
        self.device.start()
        connection = self.connect()
        self.assertEqual(connection.ask(self.batch(6, producer="p" * 30, sequence=1)).duplicates, 5)
        self.assertEqual(connection.ask(self.batch([{"id": "two"}], producer="p")).duplicates, 1)
        self.assertEqual(self.counted(), 8)

    def test_idle_connections_do_not_keep_new_producers_out(self):
        self.start()
        idle = [self.connect() for _ in range(300)]
        began = time.monotonic()
        for _ in range(20):
            self.report(1)
        self.assertLess(time.monotonic() - began, 20 * STALL_SECONDS)
        self.assertEqual(self.counted(), 20)
        self.assertLess(self.device.get("/status")["counting"]["producers_connected"], 300)
        for connection in idle:
            connection.close()
        self.report(1)
        self.assertEqual(self.counted(), 21)


class StatsdInput(ContractTest):
    def setUp(self):
        super().setUp()
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.unix.settimeout(30)
        self.addCleanup(self.unix.close)
        self.addCleanup(self.udp.close)

    def to_unix(self, text):
        self.unix.sendto(text.encode(), str(self.device.statsd))

    def to_udp(self, text):
        self.udp.sendto(text.encode(), ("127.0.0.1", self.device.udp_port))

    def test_bad_lines_are_refused_one_by_one_and_the_others_of_the_datagram_count(self):
        self.start()
        good = "sms.sent:{}|c|#subscription:sub_1"
        bad = {
            "nonsense": "malformed",
            ":1|c": "malformed",
            "sms.sent:1|g|#subscription:sub_1": "malformed",
            "sms.sent:1|c|@0.1|#subscription:sub_1": "malformed",
            "nobody.knows:1|c|#subscription:sub_1": "unknown_event",
            "sms.sent:1|c": "missing_subscription",
            "sms.sent:x|c|#subscription:sub_1": "bad_quantity",
            "sms.sent:1e3|c|#subscription:sub_1": "bad_quantity",
            f"sms.sent:{'9' * 41}|c|#subscription:sub_1": "bad_quantity",
        }
        text = "\n".join([good.format("1"), *bad, good.format("0.25")])
        for send, total in ((self.to_unix, "1.25"), (self.to_udp, "2.5")):
            send(text)
            wait_until(f"{total} counted", lambda: str(self.counted()) == total, 5)
        refused = self.refused()
        for code in set(bad.values()):
            self.assertEqual(refused[code], 2 * list(bad.values()).count(code), code)

    def test_an_oversized_datagram_is_refused_whole(self):
        self.start()
        self.to_unix("sms.sent:1|c|#subscription:sub_1\n" * 1000)
        wait_until("the datagram is refused", lambda: self.refused().get("too_large") == 1, 5)
        self.assertEqual(self.counted(), 0)

    def test_a_flood_stalls_nobody_and_a_unix_socket_loses_nothing(self):
        self.start()
        lines = ["sms.sent:1|c|#subscription:sub_1"] * 19 + ["not a line"]
        text = "\n".join(lines)

        def flood(send):
            for _ in range(FLOOD_LINES // len(lines)):
                send(text)

        threads = [threading.Thread(target=flood, args=(send,)) for send in (self.to_unix, self.to_udp)]
        for thread in threads:
            thread.start()
        connection, longest = self.connect(), 0.0
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            connection.ask(self.batch([{"name": "api.call"}]))
            longest = max(longest, time.monotonic() - began)
        self.assertLess(longest, STALL_SECONDS)
        arrived = FLOOD_LINES // 20 * 19
        wait_until("the unix socket's lines are counted", lambda: self.counted() >= arrived, 10)
        status = self.device.get("/status")["counting"]
        self.assertLessEqual(self.counted(), 2 * arrived)
        self.assertLessEqual(FLOOD_LINES // 20, status["refused"]["malformed"])
        with open(f"/proc/{self.device.process.pid}/status") as lines_of:
            peak = next(int(line.split()[1]) for line in lines_of if line.startswith("VmHWM"))
        self.assertLess(peak, MEMORY_MAX_KIB)
        print(f"  flood: {self.counted()} of {2 * arrived} lines counted, longest committed round trip "
              f"{longest * 1000:.0f} ms, peak memory {peak} KiB")


class ApiInput(ContractTest):
    JSON = "application/cloudevents+json"

    def post(self, body, path="/events", kind=JSON):
        return self.device.request("POST", path, body, {"Content-Type": kind})

    def event(self, **changes):
        event = {"specversion": "1.0", "id": "e1", "source": "test", "type": "sms.sent", "subscription": "sub_1"}
        return json.dumps({key: value for key, value in (event | changes).items() if value is not None})

    def test_bad_events_are_refused_with_a_reason(self):
        self.start()
        for body, code in (
            ("", "malformed"),
            ("{", "malformed"),
            ("[" * 5000, "malformed"),
            ("[]", "malformed"),
            (self.event(specversion="0.3"), "malformed"),
            (self.event(id=None), "malformed"),
            (self.event(time="yesterday"), "malformed"),
            (self.event(type="nobody.knows"), "unknown_event"),
            (self.event(subscription=None), "missing_subscription"),
            (self.event(data={"quantity": 0.5}), "bad_quantity"),
            (self.event(data={"quantity": "many"}), "bad_quantity"),
            (self.event(time="1999-01-01T00:00:00Z"), "too_old"),
        ):
            with self.subTest(body[:60]):
                status, answer = self.post(body)
                self.assertEqual(status, 400, answer)
                self.assertIn(code, answer.decode())
        self.assertEqual(self.counted(), 0)
        self.assertEqual(self.post(self.event())[0], 200)
        self.assertEqual(json.loads(self.post(self.event())[1])["duplicates"], 1)
        self.assertEqual(self.counted(), 1)
        self.assertEqual(self.refused()["malformed"], 7)

    def test_requests_that_make_no_sense_get_an_answer(self):
        self.start()
        self.assertEqual(self.post(self.event(), kind="text/plain")[0], 415)
        self.assertEqual(self.post(b"x" * ((1 << 20) + 1))[0], 413)
        self.assertEqual(self.device.request("GET", "/events")[0], 405)
        self.assertEqual(self.device.request("GET", "/nothing")[0], 404)
        self.assertEqual(self.device.request("GET", "/healthz", headers={"X": "y" * 100_000})[0], 431)
        self.assertEqual(self.counted(), 0)

    def test_tcp_has_no_operators_and_takes_no_events_without_a_key(self):
        self.start()
        for method, path in (("GET", "/operator/balances"), ("POST", "/operator/flush"), ("POST", "/events")):
            connection = http.client.HTTPConnection("127.0.0.1", self.device.tcp_port, timeout=10)
            with contextlib.closing(connection):
                connection.request(method, path, self.event(), {"Content-Type": self.JSON})
                self.assertEqual(connection.getresponse().status, 401, path)
        self.assertEqual(self.counted(), 0)

    def test_connections_that_say_nothing_or_half_a_request_keep_nobody_out(self):
        self.start()
        for number in range(300):
            quiet = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.addCleanup(quiet.close)
            quiet.connect(str(self.device.api))
            with contextlib.suppress(OSError):  # closed at once, where there are too many
                quiet.sendall(b"" if number % 2 else b"POST /events HTTP/1.1\r\nContent-Le")
        began = time.monotonic()
        self.assertEqual(self.report(1).counted, 1)
        self.assertEqual(self.post(self.event())[0], 200)
        self.assertLess(time.monotonic() - began, STALL_SECONDS)
        self.assertEqual(self.counted(), 2)
