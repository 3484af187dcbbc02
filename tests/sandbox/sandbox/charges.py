"""What Twilio charged and credited: a list that only grows, since the vendor can neither read back nor delete.

The ledger file has one line for each request, with all that it charged: a request is charged whole or, cut off by a
kill, not at all. A request that comes twice is charged twice: neither API has anything to know it by.
"""

from .totals import Sums


class Charges:
    def __init__(self, file):
        self._charges = []
        self._sums = Sums()  # by (installation, sid, "" without one)
        self._file = file

    def add(self, charges):
        self._insert(charges)
        self._file.write({"op": "charge", "charges": charges})

    def restore(self, entry):
        """A line of an earlier run."""
        if entry["op"] == "charge":
            self._insert(entry["charges"])

    def report(self):
        totals = [
            {"installation": installation, "sid": sid or None, "quantity": quantity, "charges": count}
            for (installation, sid), quantity, count in self._sums.rows()
        ]
        return {"charges": self._charges, "charge_totals": totals}

    def _insert(self, charges):
        for charge in charges:
            self._sums.add((charge["installation"], charge["sid"] or ""), charge["quantity"])
        self._charges += charges
