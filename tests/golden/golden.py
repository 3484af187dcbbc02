"""What is kept of a golden journal, and how it is asked for: the same when one is made and when one is judged."""

import collections
import json
import lzma
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
PAGE_BYTES, LEAF, HEADER = 4096, 2, 16
PRODUCER, LAST_SEQUENCE, EVENT_ID = "golden", 7, "golden-event"
# Members of an outbox row that do not depend on when it is asked for.
OUTBOX = ("id", "upstream", "subscription_id", "item_price_id", "usage_day", "revision", "quantity", "events",
          "usage_date", "state")


def files():
    """[(format, data file, expectation)] of those that are kept."""
    return [(int(file.name.split("-")[1].split(".")[0]), file, file.with_name(file.name.replace(".mdb.xz", ".json")))
            for file in sorted(HERE.glob("format-*.mdb.xz"))]


def put(data, directory):
    """Puts the journal where a daemon finds its own: with a mark that does not say which file was meant, so that it is
    not taken for a copy (FORMAT.md)."""
    directory.mkdir(parents=True)
    (directory / "data.mdb").write_bytes(data)
    (directory / "meterd.lock").write_text("a meterd journal is kept here\n")


def pack(data, file):
    file.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def records(data):
    """(key, where its value begins, how long that is) of a compacted file: every leaf page in it is in use."""
    for start in range(2 * PAGE_BYTES, len(data), PAGE_BYTES):
        flags, lower = struct.unpack_from("<HH", data, start + 10)
        if flags != LEAF:
            continue
        for node in struct.unpack_from(f"<{(lower - HEADER) // 2}H", data, start + HEADER):
            low, high, _, key_size = struct.unpack_from("<4H", data, start + node)
            key = start + node + 8
            yield data[key : key + key_size], key + key_size, low | high << 16


def kinds_of(data):
    """{first letter of a key: how many records}"""
    counts = collections.Counter(chr(key[0]) for key, _, _ in records(data))
    return dict(sorted(counts.items()))


def read(file):
    return lzma.decompress(file.read_bytes())


def snapshot(device):
    """What a device answers of its journal while nothing moves in it."""
    verified = json.loads(device.ctl("--json", "verify")[1])
    listed = json.loads(device.ctl("--json", "usages")[1])["usages"]
    return {
        "verify": verified,
        "balances": device.get("/operator/balances")["balances"],
        "buckets": device.get("/operator/buckets"),
        "outbox": [{name: row[name] for name in OUTBOX if name in row}
                   for row in device.get("/operator/outbox")["outbox"]],
        "usages": sorted((row["usage"] for row in listed), key=lambda usage: usage["id"]),
        "audit": device.get("/operator/audit")["audit"],
    }
