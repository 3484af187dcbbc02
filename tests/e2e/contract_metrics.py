"""/metrics and /status as other programs read them: Prometheus' own parser, and the documented JSON Schema."""

import contextlib
import http.client
import json
import pathlib

import jsonschema
from prometheus_client.parser import text_string_to_metric_families

from contract_case import ContractTest
from harness import ROOT, wait_until

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REASONS = {"malformed", "unknown_event", "missing_subscription", "unknown_subscription", "bad_quantity", "bad_id",
           "too_old", "in_future", "clock_untrusted", "full", "too_large", "not_allowed"}


PERSONAL = ("15550100123", "call-of-a-person", "no.such.meter-named-so", "box-of-a-person")


def report_what_is_personal(case):
    events = [{"subscription": "+15550100123", "id": "call-of-a-person"}, {"name": "no.such.meter-named-so"}]
    ack = case.connect().ask(case.batch(events, producer="box-of-a-person", sequence=1))
    case.assertEqual((ack.counted, len(ack.errors)), (1, 1))


class Metrics:
    """One scrape, by sample name and labels."""

    def __init__(self, text):
        self.samples = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                if key in self.samples:
                    raise ValueError(f"{key} twice")
                self.samples[key] = sample.value

    def __call__(self, name, **labels):
        return self.samples[name, frozenset(labels.items())]


class Scrape(ContractTest):
    def scrape(self):
        status, body = self.device.request("GET", "/metrics")
        self.assertEqual(status, 200)
        return Metrics(body.decode())

    def test_values_are_what_was_reported(self):
        sandbox = self.make_sandbox()
        self.start(upstream_port=sandbox.port)
        at_start = self.scrape()
        self.assertEqual({dict(labels)["reason"] for name, labels in at_start.samples
                          if name == "meterd_events_refused_total"}, REASONS)
        self.assertEqual(at_start("meterd_events_reported_total"), 0)

        ack = self.connect().ask(self.batch([{"id": f"id-{i % 7}"} for i in range(10)], producer="p"))
        self.assertEqual((ack.counted, ack.duplicates), (7, 3))
        self.connect().ask(self.batch([{"name": "nobody.knows"}] * 3 + [{"quantity": "0"}] * 2 + [{}] * 4))
        self.device.drain(30)
        self.assertEqual(self.device.request("GET", "/nothing/here")[0], 404)

        now = self.scrape()
        self.assertEqual(now("meterd_http_requests_total", code="404"), 1)
        self.assertGreater(now("meterd_http_requests_total", code="200"), 0)
        self.assertEqual(now("meterd_connections_refused_total", server="ingest", reason="peer"), 0)
        self.assertEqual(now("meterd_connections_accepted_total", server="ingest"), 2)
        self.assertEqual(now("meterd_events_reported_total"), 14)
        self.assertEqual(now("meterd_events_duplicate_total"), 3)
        self.assertEqual(now("meterd_remembered_ids"), 7)
        self.assertEqual(now("meterd_events_refused_total", reason="unknown_event"), 3)
        self.assertEqual(now("meterd_events_refused_total", reason="bad_quantity"), 2)
        self.assertEqual(now("meterd_events_refused_total", reason="full"), 0)
        usages = len(sandbox.created_ids())
        self.assertEqual(now("meterd_usages_delivered_total", upstream="billing"), usages)
        self.assertEqual(now("meterd_delivery_receipts_total", upstream="billing"), usages)
        self.assertEqual(now("meterd_exchange_seconds_count", upstream="billing"), usages)
        self.assertGreater(now("meterd_exchange_seconds_sum", upstream="billing"), 0)
        self.assertEqual(now("meterd_outbox_usages", upstream="billing", state="waiting"), 0)
        self.assertEqual(now("meterd_conservation_error"), 0)
        self.assertGreater(now("meterd_commits_total"), 0)
        self.assertEqual(now("meterd_commit_seconds_bucket", le="+Inf"), now("meterd_commit_seconds_count"))
        self.assertGreater(now("meterd_committed_bytes_total"), at_start("meterd_committed_bytes_total"))
        self.assertEqual(now("meterd_loss_window_seconds"), 0.2)
        self.assertGreater(now("process_resident_memory_bytes"), 1 << 20)

    def test_an_upstream_in_trouble_is_seen(self):
        sandbox = self.make_sandbox(faults={"rate": 1, "kinds": ["error_401"]})
        self.start(upstream_port=sandbox.port)
        self.report(1)
        seen = wait_until("a scrape says unauthorised", lambda: self.scrape()(
            "meterd_upstream_unauthorised", upstream="billing") and self.scrape(), 20)
        self.assertEqual(seen("meterd_outbox_usages", upstream="billing", state="waiting"), 1)
        self.assertGreaterEqual(seen("meterd_delivery_retries_total", upstream="billing"), 1)
        self.assertGreaterEqual(seen("meterd_upstream_failures", upstream="billing"), 1)
        self.assertEqual(seen("meterd_attention"), 1)

    def test_tcp_and_the_unix_socket_answer_alike(self):
        self.start()
        local = self.scrape()
        connection = http.client.HTTPConnection("127.0.0.1", self.device.tcp_port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.getheader("Content-Type")), (200, CONTENT_TYPE))
            over_tcp = Metrics(answer.read().decode())
        self.assertEqual(over_tcp.samples.keys(), local.samples.keys())

    def test_scraping_an_idle_daemon_commits_nothing(self):
        self.start()
        commits = [self.scrape()("meterd_commits_total") for _ in range(20)]
        self.assertEqual(set(commits), {commits[0]})

    def test_nothing_that_a_producer_names_is_in_it(self):
        self.start()
        report_what_is_personal(self)
        for path in ("/metrics", "/status"):
            text = self.device.request("GET", path)[1].decode()
            self.assertGreater(len(text), 1_000)
            for personal in PERSONAL:
                self.assertNotIn(personal, text, path)


class StatusDocument(ContractTest):
    @classmethod
    def setUpClass(cls):
        schema = json.loads(pathlib.Path(ROOT, "agent/api/status.schema.json").read_text())
        cls.validator = jsonschema.Draft202012Validator(schema)

    def assert_valid(self, document):
        self.assertEqual([f"{list(e.absolute_path)}: {e.message}" for e in self.validator.iter_errors(document)], [])

    def test_fits_its_schema_before_and_after_a_delivery(self):
        sandbox = self.make_sandbox()
        self.start(upstream_port=sandbox.port, sources='[[source]]\nkind = "interface"\nname = "lo"\n'
                   'event = "api.call"\nsubscription = "sub_1"\n')
        first = self.device.get("/status")
        self.assert_valid(first)
        self.report([{}, {"name": "nobody.knows"}])
        self.device.drain(30)
        last = self.device.get("/status")
        self.assert_valid(last)
        self.assertIsNotNone(last["upstreams"][0]["last_delivery"])
        self.assertIsNotNone(last["upstreams"][0]["exchange_p99_ms"])
        self.assertIsNotNone(last["journal"]["commit_p50_ms"])
        self.assertNotEqual(last["counting"]["refused"], {})
        with self.assertRaises(AssertionError):  # the validator would notice
            self.assert_valid(last | {"surprise": 1})

    def test_fits_its_schema_when_something_needs_a_person(self):
        sandbox = self.make_sandbox(faults={"rate": 1, "kinds": ["error_401"]})
        self.start(upstream_port=sandbox.port)
        self.report(1)
        wait_until("attention is needed", lambda: self.device.get("/status")["attention"], 20)
        self.assert_valid(self.device.get("/status"))


class LogLines(ContractTest):
    def test_a_storm_of_the_same_line_is_counted_and_said_at_the_end(self):
        self.start()
        connections = [self.connect() for _ in range(256 + 40)]  # above the limit each one closes an idle one
        connections[-1].ask(self.batch(1))
        self.terminate()
        text = self.device.log_file.read_text()
        lines = [line for line in text.splitlines() if "event=ingest_idle_connection_closed" in line]
        self.assertLessEqual(len(lines), 6)
        shown = sum("suppressed=" not in line for line in lines)
        self.assertEqual(shown, 5)
        left_out = int(lines[-1].split("suppressed=")[1].split()[0])
        self.assertEqual(shown + left_out, 40)

    def test_names_nothing_that_a_producer_names(self):
        self.start()
        report_what_is_personal(self)
        self.terminate()
        text = self.device.log_file.read_text()
        self.assertIn("event=events_refused reason=unknown_event count=1", text)
        for personal in PERSONAL:
            self.assertNotIn(personal, text)
