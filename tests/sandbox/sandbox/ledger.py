"""What Chargebee charged: the usages that exist, and the rules that tie them together.

The ledger file has one line for each create, delete, change at the console and link to a PDF. The idempotency key
that came with a change stands in its line, so that a restarted sandbox still replays: the vendor's memory does not
restart either.
"""

import collections

from .totals import DAY_SECONDS, Totals


class Ledger:
    def __init__(self, file, unique, lifetime_limit):
        self.usages = {}  # id -> the vendor's record, in the order of creation
        self.sequence = {}  # id -> 1, 2, ... over the life of the ledger
        self.deleted = 0
        self.totals = Totals()
        self._slot_seconds = DAY_SECONDS if unique == "day" else 1
        self._lifetime_limit = lifetime_limit
        self._slots = {}  # (subscription, item price, slot of time) -> id
        self._recorded = collections.Counter()  # by subscription, over its lifetime
        self._created = 0
        self._file = file

    # Rules.

    def id_taken(self, usage_id):
        """A deleted usage's id is free again (undocumented): a client that sends an old create once more is seen."""
        return usage_id in self.usages

    def date_taken(self, usage):
        return self._slot(usage) in self._slots

    def limit_reached(self, subscription):
        """Deleted usages count: the limit is on usages "recorded for the entire lifetime of a subscription"."""
        return self._recorded[subscription] >= self._lifetime_limit

    def free_id(self):
        number = self._created + 1
        while self.id_taken(f"usage_sandbox{number}"):
            number += 1
        return f"usage_sandbox{number}"

    # Changes. `stored` is the idempotency memory's entry that the change is written with, or None.

    def create(self, usage, stored=None):
        self._insert(usage)
        self._file.write({"op": "create", "usage": usage, "stored": stored})

    def delete(self, usage_id, stored=None):
        """The usage that no longer exists."""
        usage = self._remove(usage_id)
        self.deleted += 1
        self._file.write({"op": "delete", "usage": usage, "stored": stored})
        return usage

    def amend(self, usage):
        """Puts a changed record in the place of the one with its id. Its slot of time stays as it is."""
        self._replace(usage)
        self._file.write({"op": "amend", "usage": usage})

    def forget(self, usage_id):
        """Like delete, but nobody called the API for it: not counted."""
        usage = self._remove(usage_id)
        self._file.write({"op": "forget", "usage": usage})
        return usage

    def linked(self, link, stored=None):
        self._file.write({"op": "link", "link": link, "stored": stored})

    def restore(self, entry):
        """A line of an earlier run."""
        if entry["op"] == "create":
            self._insert(entry["usage"])
        elif entry["op"] == "delete":
            self._remove(entry["usage"]["id"])
            self.deleted += 1
        elif entry["op"] == "amend":
            self._replace(entry["usage"])
        elif entry["op"] == "forget":
            self._remove(entry["usage"]["id"])

    def report(self):
        usages = [dict(usage, sequence=self.sequence[usage["id"]]) for usage in self.usages.values()]
        return {"usages": usages, "totals": self.totals.report(), "deleted": self.deleted}

    def _slot(self, usage):
        return usage["subscription_id"], usage["item_price_id"], usage["usage_date"] // self._slot_seconds

    def _insert(self, usage):
        self._created += 1
        self.usages[usage["id"]] = usage
        self.sequence[usage["id"]] = self._created
        self._slots[self._slot(usage)] = usage["id"]
        self._recorded[usage["subscription_id"]] += 1
        self.totals.add(usage)

    def _remove(self, usage_id):
        usage = self.usages.pop(usage_id)
        del self.sequence[usage_id]
        self._slots.pop(self._slot(usage), None)
        self.totals.remove(usage)
        return usage

    def _replace(self, usage):
        self.totals.remove(self.usages[usage["id"]])
        self.usages[usage["id"]] = usage  # another object: the answers that are remembered under keys stay as they were
        self.totals.add(usage)
