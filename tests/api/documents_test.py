#!/usr/bin/python3
"""What /status and /metrics say in every state, read by others' parsers: JSON Schema and Prometheus' own client.

    documents_test.py PROGRAM SCHEMA    # the program that prints the samples, agent/api/status.schema.json
"""

import copy
import json
import subprocess
import sys
import unittest

import jsonschema
from prometheus_client.parser import text_string_to_metric_families

SAMPLES, SCHEMA = {}, {}


def errors(document):
    validator = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(document)]


def members(schema, path=""):
    """(path, schema) of every member that an object of this schema may have."""
    for name, member in schema.get("properties", {}).items():
        yield f"{path}/{name}", member
        yield from members(member, f"{path}/{name}")
    if "items" in schema:
        yield from members(schema["items"], path + "[]")


def objects(value):
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from objects(member)
    elif isinstance(value, list):
        for member in value:
            yield from objects(member)


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(text, name, **labels):
    """The one sample of that name with these labels, among others."""
    found = [sample.value for family in families(text).values() for sample in family.samples
             if sample.name == name and labels.items() <= sample.labels.items()]
    if len(found) != 1:
        raise LookupError(f"{name}{labels}: {len(found)} samples")
    return found[0]


class StatusSchema(unittest.TestCase):
    def test_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_describes_every_member_and_the_unit_of_every_number(self):
        all_members = dict(members(SCHEMA))
        self.assertGreater(len(all_members), 60)
        for path, member in all_members.items():
            self.assertTrue(member.get("description"), path)
            if "integer" in str(member.get("type")):
                self.assertTrue(member.get("unit"), path)
            if member.get("type") == "object":
                self.assertIs(member["additionalProperties"], False, path)

    def test_fits_every_state(self):
        self.assertGreater(len(SAMPLES), 10)
        for name, sample in SAMPLES.items():
            self.assertEqual(errors(json.loads(sample["status"])), [], name)

    def test_refuses_a_member_more_and_a_member_less_anywhere(self):
        whole = json.loads(SAMPLES["busy"]["status"])
        optional = list(whole["counting"]["refused"])
        for place in range(len(list(objects(whole)))):
            more = copy.deepcopy(whole)
            list(objects(more))[place]["surprise"] = 1
            self.assertNotEqual(errors(more), [], place)
            for name in list(objects(whole))[place]:
                less = copy.deepcopy(whole)
                del list(objects(less))[place][name]
                self.assertEqual(errors(less) == [], name in optional, name)

    def test_refuses_another_type_anywhere(self):
        whole = json.loads(SAMPLES["busy"]["status"])
        for place, each in enumerate(objects(whole)):
            for name, was in each.items():
                for wrong in (1.5, -1, [7], {"a": 1}, not was if not isinstance(was, bool) else "yes"):
                    other = copy.deepcopy(whole)
                    list(objects(other))[place][name] = wrong
                    self.assertNotEqual(errors(other), [], f"{name}: {wrong}")


class MetricsText(unittest.TestCase):
    def test_is_read_in_every_state(self):
        names = [set(families(sample["metrics"])) for sample in SAMPLES.values()]
        self.assertGreater(len(names[0]), 45)
        for each in names:
            self.assertEqual(each, names[0], "a family comes and goes with the state")

    def test_has_help_a_type_and_no_sample_twice(self):
        for name, sample in SAMPLES.items():
            seen = set()
            for family in families(sample["metrics"]).values():
                self.assertTrue(family.documentation, family.name)
                self.assertIn(family.type, ("counter", "gauge", "histogram"), family.name)
                for each in family.samples:
                    key = (each.name, tuple(sorted(each.labels.items())))
                    self.assertNotIn(key, seen, name)
                    seen.add(key)

    def test_is_named_as_the_conventions_ask(self):
        for line in SAMPLES["busy"]["metrics"].splitlines():
            if not line.startswith("# TYPE "):
                continue
            _, _, name, kind = line.split(" ")
            self.assertRegex(name, "^(meterd|process)_[a-z_]+$")
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            self.assertNotRegex(name, "_(ms|us|milliseconds|kib|days)(_total)?$")

    def test_has_few_labels_and_never_what_producers_name(self):
        labels = {label for family in families(SAMPLES["busy"]["metrics"]).values() for sample in family.samples
                  for label in sample.labels}
        self.assertEqual(labels, {"version", "reason", "upstream", "state", "le", "server", "code"})

    def test_histograms_rise_to_their_count(self):
        found = 0
        for family in families(SAMPLES["busy"]["metrics"]).values():
            if family.type != "histogram":
                continue
            rows = {}
            for sample in family.samples:
                rows.setdefault(sample.labels.get("upstream"), []).append(sample)
            for row in rows.values():
                buckets = [sample for sample in row if sample.name.endswith("_bucket")]
                self.assertEqual([float(b.labels["le"]) for b in buckets], sorted(float(b.labels["le"]) for b in buckets))
                self.assertEqual([b.value for b in buckets], sorted(b.value for b in buckets))
                self.assertEqual(buckets[-1].labels["le"], "+Inf")
                self.assertEqual([s.value for s in row if s.name.endswith("_count")], [buckets[-1].value])
                self.assertEqual(len([s for s in row if s.name.endswith("_sum")]), 1)
                found += 1
        self.assertEqual(found, 4)

    def test_says_the_same_as_the_status(self):
        for name, sample in SAMPLES.items():
            text, status = sample["metrics"], json.loads(sample["status"])
            counting, journal = status["counting"], status["journal"]
            same = {
                "meterd_events_reported_total": counting["events"] + counting["duplicates"],
                "meterd_events_duplicate_total": counting["duplicates"],
                "meterd_loss_window_seconds": counting["loss_window_ms"] / 1000,
                "meterd_committed_bytes_total": journal["committed_bytes"],
                "meterd_conservation_error": journal["conservation_error"],
                "meterd_journal_above_watermark": int(journal["above_watermark"]),
                "meterd_clock_trusted": int(status["clock"]["trusted"]),
                "meterd_attention": len(status["attention"]),
            }
            for metric, expected in same.items():
                self.assertEqual(value(text, metric), expected, f"{name}: {metric}")
            for upstream in status["upstreams"]:
                for state in ("waiting", "in_doubt", "parked"):
                    self.assertEqual(value(text, "meterd_outbox_usages", upstream=upstream["name"], state=state),
                                     upstream[state])

    def test_the_parser_would_notice(self):
        good = SAMPLES["busy"]["metrics"]
        for bad in (good.replace("# TYPE meterd_attention gauge", "# TYPE meterd_attention gaug"),
                    good.replace('reason="full"', 'reason="full'), good.replace("meterd_attention ", "meterd_attention x")):
            with self.assertRaises(ValueError):
                families(bad)
        with self.assertRaises(LookupError):
            value(good, "meterd_no_such_metric")


if __name__ == "__main__":
    program, schema = sys.argv[1:3]
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    SAMPLES.update({sample["name"]: sample for sample in map(json.loads, lines)})
    with open(schema, encoding="utf-8") as file:
        SCHEMA.update(json.load(file))
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
