#!/usr/bin/python3
"""The sandbox keeps the vendor's rules: the operations, their validation, idempotency.

Run directly, it runs all of the sandbox's tests: those of the other *_test.py beside it too.
"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from chance_test import FaultSpec, RandomFaults  # noqa: E402, F401
from console_test import Console, Reconciling  # noqa: E402, F401
from faults_test import FaultsOnTheWire, FaultsOverTls  # noqa: E402, F401
from harness import DAY, KEY, Raw, SandboxTest, basic, usage  # noqa: E402
from pdf_test import Downloads, DownloadsOfAProcess, Pdf  # noqa: E402, F401
from process_test import LedgerAndControl, Process, RateLimit  # noqa: E402, F401
from twilio_faults_test import ChargesByChance, KindsOfVendors, Misreports, TwilioFaults  # noqa: E402, F401
from twilio_test import BillableItems, BothApis, ChargesOfAProcess, Limits, Preview  # noqa: E402, F401


class Operations(SandboxTest):
    def test_create_answers_the_record_of_the_documented_sample(self):
        record = self.created(note="Day 1 & ünïcode", **usage(5, id="x", quantity="5"))
        self.assertEqual(record["created_at"], record["updated_at"])
        self.assertEqual(record["resource_version"] // 1000, record["created_at"])
        for name in ("created_at", "updated_at", "resource_version"):
            self.assertIs(type(record.pop(name)), int)
        expected = {
            "id": "x",
            "item_price_id": "sms-usd",
            "note": "Day 1 & ünïcode",
            "object": "usage",
            "quantity": "5",
            "subscription_id": "sub_1",
            "usage_date": DAY + 5,
        }
        self.assertEqual(record, expected)

    def test_an_id_is_generated_when_none_is_given(self):
        form = usage()
        del form["id"]
        record = self.created(**form)
        self.assertEqual(self.api.retrieve(record["id"]).json["usage"], record)
        self.assertNotIn("note", record)

    def test_retrieve_and_delete_find_only_what_exists_below_that_subscription(self):
        record = self.created(**usage())
        self.assertEqual(self.api.retrieve("u0").json, {"usage": record})
        for answer in (self.api.retrieve("u0", "sub_2"), self.api.delete("u0", "sub_2"), self.api.retrieve("u1")):
            self.assertEqual(answer.error, (404, "resource_not_found", None))
        self.assertEqual(self.api.delete("u0").json, {"usage": record})
        self.assertEqual(self.api.retrieve("u0").status, 404)
        ledger = self.sandbox.ledger()
        self.assertEqual((ledger["usages"], ledger["totals"], ledger["deleted"]), ([], [], 1))

    def test_a_deleted_usage_can_be_added_again(self):
        self.created(**usage())
        self.api.delete("u0")
        self.created(**usage(quantity="2"))
        self.assertEqual(self.sandbox.ledger()["usages"][0]["sequence"], 2)

    def test_ids_keep_slashes_and_percent_escapes(self):
        self.created("a/b ü", **usage())
        answer = self.api.call("GET", "/api/v2/subscriptions/a/b%20%C3%BC/usages?id=u0")
        self.assertEqual(answer.json["usage"]["subscription_id"], "a/b ü")

    def test_list_filters_sorts_and_pages(self):
        for number in range(25):
            self.created(f"sub_{number % 2}", **usage(number, usage_date=DAY + (number * 7) % 25))

        def ids(**query):
            return [row["usage"]["id"] for row in self.api.list(**query).json["list"]]

        is_sub_0 = {"subscription_id[is]": "sub_0"}
        self.assertEqual(ids(**is_sub_0), [f"u{n}" for n in range(0, 20, 2)])  # ten, earliest created first
        pages, query = [], {"subscription_id[starts_with]": "sub", "sort_by[desc]": "usage_date", "limit": 10}
        while True:
            body = self.api.list(**query).json
            pages.append([row["usage"]["usage_date"] for row in body["list"]])
            if "next_offset" not in body:
                break
            query["offset"] = body["next_offset"]
        self.assertEqual([len(page) for page in pages], [10, 10, 5])
        self.assertEqual(sum(pages, []), [DAY + second for second in range(24, -1, -1)])
        self.assertEqual(ids(**is_sub_0, **{"id[is]": "u2"}), ["u2"])
        self.assertEqual(len(ids(**is_sub_0, **{"id[is_not]": "u2", "limit": 100})), 12)
        self.assertEqual(ids(**is_sub_0, **{"item_price_id[is]": "other"}), [])
        for operator, value, count in (
            ("after", DAY + 20, 4),
            ("before", DAY + 2, 2),
            ("on", DAY + 3, 1),
            ("between", f"[{DAY + 3},{DAY + 5}]", 3),
        ):
            found = ids(**{"subscription_id[starts_with]": "s", f"usage_date[{operator}]": value})
            self.assertEqual(len(found), count, operator)

    def test_list_refuses_what_it_does_not_serve(self):
        good = {"subscription_id[is]": "s"}
        for query, param in (
            ({}, "subscription_id"),
            (good | {"limit": "101"}, "limit"),
            (good | {"limit": "0"}, "limit"),
            (good | {"offset": "7"}, "offset"),
            (good | {"sort_by[asc]": "created_at"}, "sort_by"),
            (good | {"usage_date[on]": "today"}, "usage_date[on]"),
            (good | {"usage_date[between]": "1,2"}, "usage_date[between]"),
            (good | {"source[is]": "api"}, "source[is]"),
            (good | {"id[like]": "x"}, "id[like]"),
        ):
            self.assertEqual(self.api.list(**query).error, (400, "param_wrong_value", param), query)

    def test_authentication(self):
        for authorization, code in (
            (basic("wrong"), "api_authentication_failed"),
            (basic(KEY, "password"), "api_authentication_failed"),
            ("Bearer " + KEY, "basic_authentication_failed"),
            ("Basic !!!", "basic_authentication_failed"),
        ):
            api = self.sandbox.api(authorization=authorization)
            self.addCleanup(api.close)
            self.assertEqual(api.create(**usage()).error, (401, code, None))
        self.assertEqual(self.sandbox.ledger()["usages"], [])

    def test_wrong_routes_methods_and_types_get_vendor_json(self):
        for method, path, expected in (
            ("GET", "/", (404, "resource_not_found", None)),
            ("GET", "/api/v2/subscriptions/s", (404, "resource_not_found", None)),
            ("PUT", "/api/v2/subscriptions/s/usages", (405, "http_method_not_supported", None)),
            ("GET", "/api/v2/subscriptions/s/delete_usage", (405, "http_method_not_supported", None)),
            ("POST", "/api/v2/usages", (405, "http_method_not_supported", None)),
        ):
            self.assertEqual(self.api.call(method, path).error, expected, path)
        answer = self.api.create(headers={"Content-Type": "application/json"}, **usage())
        self.assertEqual(answer.error[0], 415)


class Validation(SandboxTest):
    def test_each_field_is_checked(self):
        missing = object()
        for name, values in {
            "item_price_id": [missing, "", "x" * 101],
            "quantity": [missing, "", "0", "0.000", "-1", "+1", "1e3", ".5", "1.", "1,5", "NaN", "٣", "1" * 41],
            "usage_date": [missing, "", "-1", "1.5", "1601718989000", "now", "١"],
            "id": ["", "x" * 101],
            "note": ["x" * 501],
            "dedupe_option": ["skip"],
        }.items():
            for value in values:
                form = usage(**{name: value})
                if value is missing:
                    del form[name]
                self.assertEqual(self.api.create(**form).error, (400, "param_wrong_value", name), value)
        self.assertEqual(self.sandbox.ledger()["usages"], [])

    def test_lengths_are_counted_in_characters(self):
        self.created("s" * 100, **usage(id="ü" * 100, item_price_id="x" * 100, note="ü" * 500, quantity="1" * 40))

    def test_malformed_forms_are_refused(self):
        path = "/api/v2/subscriptions/s/usages"
        for body in ("id", "id=%zz", "id=%ff", b"id=\xc3\xbc", "&".join(f"a{n}=1" for n in range(70))):
            self.assertEqual(self.api.call("POST", path, body).error, (400, "invalid_request", None), body)
        self.assertEqual(self.api.call("POST", path, "id=1&id=2").error, (400, "param_wrong_value", "id"))

    def test_requests_that_are_not_http_are_answered_and_closed(self):
        for data, status in (
            (b"hello\r\n\r\n", b"400"),
            (b"GET / HTTP/1.1\r\n\r\n", b"400"),
            (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", b"505"),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n", b"413"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 80 + b"\r\n", b"431"),
        ):
            raw = Raw(self.sandbox)
            self.addCleanup(raw.close)
            raw.send(data)
            self.assertTrue(raw.read_all().startswith(b"HTTP/1.1 " + status), data)

    def test_an_id_is_unique_on_the_whole_site(self):
        self.created(**usage())
        answer = self.api.create("sub_2", **usage(id="u0", usage_date=DAY + 9))
        self.assertEqual(answer.error, (400, "duplicate_entry", "id"))

    def test_one_usage_a_second_for_each_item_price(self):
        self.created(**usage(0))
        self.assertEqual(self.api.create(**usage(1, usage_date=DAY)).error, (400, "duplicate_entry", "usage_date"))
        self.created(**usage(1))
        self.created(**usage(2, usage_date=DAY, item_price_id="data-usd"))
        self.created("sub_2", **usage(3, usage_date=DAY))


class UniqueByDay(SandboxTest):
    arguments = ("--unique", "day", "--lifetime-limit", "3")

    def test_one_usage_a_utc_day_for_each_item_price(self):
        self.created(**usage(0))
        late = usage(1, usage_date=DAY + 86399)
        self.assertEqual(self.api.create(**late).error, (400, "duplicate_entry", "usage_date"))
        self.created(**usage(2, usage_date=DAY + 86400))
        self.created(**usage(3, usage_date=DAY - 1))

    def test_deleted_usages_count_towards_the_lifetime_limit(self):
        for number in range(3):
            self.created(**usage(number, usage_date=DAY + number * 86400))
        self.api.delete("u0")
        self.assertEqual(self.api.create(**usage(9)).error, (400, "resource_limit_exhausted", None))
        self.assertEqual(self.api.create(**usage(1)).error, (400, "duplicate_entry", "id"))
        self.created("sub_2", **usage(9))


class Idempotency(SandboxTest):
    arguments = ("--key-window", "1800")

    def test_the_same_request_is_answered_from_memory(self):
        first = self.api.create(key="k", **usage())
        other = self.sandbox.api()  # another connection is still the same request
        self.addCleanup(other.close)
        again = other.create(key="k", **usage())
        self.assertEqual((again.status, again.body), (200, first.body))
        self.assertEqual((first.replayed, again.replayed), (False, True))
        self.assertTrue(self.api.delete("u0", key="d").status == self.api.delete("u0", key="d").status == 200)
        ledger = self.sandbox.ledger()
        self.assertEqual((ledger["replays"], ledger["deleted"]), (2, 1))

    def test_another_body_path_or_header_with_the_same_key_is_refused(self):
        self.api.create(key="k", **usage())
        for answer in (
            self.api.create(key="k", **usage(quantity="2")),
            self.api.create("sub_2", key="k", **usage()),
            self.api.create(key="k", headers={"User-Agent": "other"}, **usage()),
            self.api.delete("u0", key="k"),
        ):
            self.assertEqual(answer.error, (422, "unable_to_process_request", None))
        self.assertEqual(len(self.sandbox.ledger()["usages"]), 1)

    def test_the_key_is_forgotten_after_the_window_and_the_id_protects(self):
        self.api.create(key="k", **usage())
        self.sandbox.advance(1700)
        self.assertTrue(self.api.create(key="k", **usage()).replayed)
        self.sandbox.advance(101)  # counted from the first answer, not from the replay
        self.assertEqual(self.api.create(key="k", **usage()).error, (400, "duplicate_entry", "id"))
        form = usage(1)
        self.assertGreater(self.created(**form)["created_at"], self.created(**usage(2))["created_at"] - 5)

    def test_refusals_are_not_remembered(self):
        self.assertEqual(self.api.create(key="k", **usage(quantity="0")).status, 400)
        self.assertEqual(self.api.create(key="k", **usage(quantity="1")).status, 200)

    def test_a_key_has_at_most_100_characters(self):
        self.assertEqual(self.api.create(key="k" * 100, **usage(0)).status, 200)
        answer = self.api.create(key="k" * 101, **usage(1))
        self.assertEqual(answer.error, (400, "param_wrong_value", "chargebee-idempotency-key"))


if __name__ == "__main__":
    unittest.main()
