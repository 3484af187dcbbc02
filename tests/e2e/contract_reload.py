"""SIGHUP: another configuration, as a whole or not at all, while sockets and counts go on."""

import base64
import http.client
import json
import signal

from contract_case import METERS, ContractTest
from harness import wait_until

FAX = ("fax.sent", "fax-usd")


class Reload(ContractTest):
    def reload(self, event):
        """Sends SIGHUP and waits for one more line of that event."""
        before = self.lines(event)
        self.device.process.send_signal(signal.SIGHUP)
        wait_until(f"the log says {event}", lambda: len(self.lines(event)) > len(before), 10)
        return self.lines(event)[-1]

    def lines(self, event):
        return [line for line in self.device.log_file.read_text().splitlines() if f"event={event} " in line]

    def post_fax(self, port, key):
        event = {"specversion": "1.0", "type": "fax.sent", "source": "e2e", "id": key, "subscription": "sub_1"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        headers = {
            "Content-Type": "application/cloudevents+json",
            "Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode(),
        }
        connection.request("POST", "/events", json.dumps(event), headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def test_a_new_meter_counts_over_connections_that_were_open_before(self):
        self.start()
        connection = self.connect()
        fax = {"name": "fax.sent"}
        self.assertEqual(len(connection.ask(self.batch([fax])).errors), 1)
        connection.ask(self.batch(3))
        self.device.write_config((*METERS, FAX))
        self.reload("reloaded")
        self.assertEqual(connection.ask(self.batch([fax, fax])).counted, 2)
        self.assertEqual(self.counted("fax-usd"), 2)
        self.assertEqual(self.counted(), 3)
        status = self.device.get("/status")["counting"]
        self.assertEqual((status["events"], status["refused"]), (5, {"unknown_event": 1}))
        self.terminate()

    def test_each_reload_is_answered_in_the_log_however_many_there_are(self):
        self.start()
        for _ in range(7):
            self.reload("reloaded")
        self.device.config_file.write_text("[meter")
        for _ in range(7):
            self.reload("reload_refused")
        self.assertEqual((len(self.lines("reloaded")), len(self.lines("reload_refused"))), (7, 7))

    def test_an_upstream_that_a_reload_takes_away_is_shown_with_what_is_open_for_it(self):
        sandbox = self.make_sandbox()
        self.start(upstream_port=sandbox.port)
        good = self.device.config_file.read_text()
        self.device.config_file.write_text(good.replace('seal = "2s"', 'seal = "1d"'))
        self.reload("reloaded")
        self.report(3)
        self.device.config_file.write_text(good.replace('name = "billing"', 'name = "other"'))
        self.reload("reloaded")
        self.assertEqual(len(self.lines("upstream_gone")), 1)
        code, text = self.device.ctl("status")
        self.assertEqual(code, 4, text)
        self.assertIn("open for billing, which is not configured", " ".join(text.split()))
        self.assertIn('meterd_upstream_configured{upstream="billing"} 0', self.metrics())
        code, text = self.device.ctl("flush", "--now")
        self.assertEqual(code, 1, text)
        self.assertIn("0 buckets sealed", text)
        self.assertIn("upstream billing is not configured", text)
        self.terminate()

    def metrics(self):
        return self.device.request("GET", "/metrics")[1].decode()

    def test_a_broken_file_is_refused_with_its_line_and_changes_nothing(self):
        self.start()
        good = self.device.config_file.read_text()
        self.device.config_file.write_text(good + '\n[[meter]]\nevent = "fax.sent"\nitem_prise = "fax-usd"\n')
        line = self.reload("reload_refused")
        self.assertTrue(line.startswith("<3>"), line)
        self.assertIn("item_prise", line)
        self.assertIn(f"meterd.toml:{good.count(chr(10)) + 4}", line)
        self.assertEqual(self.report(2).counted, 2)
        self.assertEqual(len(self.connect().ask(self.batch([{"name": "fax.sent"}])).errors), 1)
        self.terminate()

    def test_what_takes_a_restart_is_refused_by_name(self):
        self.start()
        self.device.write_config((*METERS, FAX), device="gw-other")
        self.assertIn("device.id", self.reload("reload_refused"))
        self.assertEqual(len(self.connect().ask(self.batch([{"name": "fax.sent"}])).errors), 1)
        self.terminate()

    def test_a_new_key_is_used_for_what_waits(self):
        sandbox = self.make_sandbox()
        key = self.device.directory / "key"
        right = key.read_text()
        key.write_text("wrong-key\n")
        self.start(upstream_port=sandbox.port)
        self.report(4)
        wait_until(
            "the upstream refuses the key",
            lambda: self.device.get("/status")["upstreams"][0]["state"] == "unauthorised",
            20,
        )
        self.assertEqual(sandbox.created_ids(), [])
        key.write_text(right)
        self.reload("reloaded")
        self.device.drain(30)
        self.assertEqual(len(set(sandbox.created_ids())), len(sandbox.created_ids()))
        self.assertEqual(sum(int(row["quantity"]) for row in self.billed(sandbox)), 4)
        self.terminate()

    def billed(self, sandbox):
        return [
            json.loads(line)["usage"] for line in sandbox.ledger_file.read_text().splitlines() if '"create"' in line
        ]

    def test_the_devices_own_key_is_replaced(self):
        keys = [self.device.directory / name for name in ("api-1", "api-2")]
        for key in keys:
            key.touch(mode=0o600)
            key.write_text(key.name)
        self.device.write_config((*METERS, FAX))
        plain = self.device.config_file.read_text()
        with_key = lambda key: plain.replace("[api]\n", f'[api]\nchargebee_key = {{ file = "{key}" }}\n')
        self.device.config_file.write_text(with_key(keys[0]))
        self.device.start()
        self.assertEqual(self.post_fax(self.device.tcp_port, "api-1"), 200)
        self.assertEqual(self.post_fax(self.device.tcp_port, "api-2"), 401)
        self.device.config_file.write_text(with_key(keys[1]))
        self.reload("reloaded")
        self.assertEqual(self.post_fax(self.device.tcp_port, "api-1"), 401)
        self.assertEqual(self.post_fax(self.device.tcp_port, "api-2"), 200)
        self.terminate()
