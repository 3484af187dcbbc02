"""What must hold between what was counted, what Twilio charged, and what the device holds in doubt. Pure functions on
plain values.

A series is (installation, billing sid): what the vendor sums up. Its amount due is floor(counted x unit price), to the
declared decimals: each usage is rounded down and leaves the rest to the next one, so that
sum of the amounts + carry = counted x unit price, with 0 <= carry < one unit of the last decimal.

The vendor's charges have no ids. So the tests count quantities that make no two amounts of a series equal: then an
amount names its usage, and a charge that comes twice is a usage that was charged twice. Every function returns the
problems that it found, one line each. self_test() is the negative control.
"""

import collections
import dataclasses
import decimal
from decimal import ROUND_FLOOR, Decimal

from verdict import EXACT, exact_sum


@dataclasses.dataclass(frozen=True)
class Doubt:
    """A usage that the device holds in doubt: once sent, the outcome unknown."""

    id: str
    series: tuple
    amount: Decimal
    key: tuple  # (subscription, item price, day)
    quantity: Decimal


def due(counted, unit_price=None, decimals=0):
    """What is to be charged for it: units as they are, money rounded down."""
    if unit_price is None:
        return counted
    exact = EXACT.multiply(counted, unit_price)
    return exact.quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR, decimal.Context(prec=EXACT.prec))


def charged_once(charges):
    """{series: {amount}} of the ledger's charges, and what was charged more than once."""
    counts = collections.Counter((series_of(charge), Decimal(charge["quantity"])) for charge in charges)
    out = collections.defaultdict(set)
    for series, amount in counts:
        out[series].add(amount)
    twice = [(series, amount, count) for (series, amount), count in counts.items() if count > 1]
    problems = [f"{series}: {amount} was charged {count} times" for series, amount, count in twice]
    return dict(out), problems


def series_of(charge):
    return charge["installation"], charge["sid"]


def series_of_item(installation, item_price):
    """An item price that is no billing sid is the device's own name: Preview is told none."""
    return installation, item_price if item_price.startswith("BI") else None


def charged_totals(charges):
    """{series: Decimal}, every charge counted."""
    out = collections.defaultdict(Decimal)
    for charge in charges:
        out[series_of(charge)] = EXACT.add(out[series_of(charge)], Decimal(charge["quantity"]))
    return dict(out)


def is_charged(doubt, charged):
    """The vendor's truth about a usage in doubt. `charged`: of charged_once."""
    return doubt.amount in charged.get(doubt.series, ())


def compare_series(wanted, charges, doubts=()):
    """`wanted`: {series: due}. Charged is what is due but for what is in doubt and was not applied, exactly."""
    charged, problems = charged_once(charges)
    missing = collections.defaultdict(Decimal)
    for doubt in doubts:
        if not is_charged(doubt, charged):
            missing[doubt.series] = EXACT.add(missing[doubt.series], doubt.amount)
    totals = charged_totals(charges)
    for series in sorted(wanted.keys() | totals.keys() | missing.keys(), key=str):
        got, most = totals.get(series, Decimal(0)), wanted.get(series, Decimal(0))
        if EXACT.add(got, missing[series]) != most:
            problems.append(f"{series}: due {most}, charged {got}, in doubt and not applied {missing[series]}: "
                            f"{EXACT.subtract(EXACT.subtract(most, got), missing[series])} is nowhere")
    return problems


def compare_books(balances, acknowledged, doubts=()):
    """The device's own books: accepted = acknowledged = delivered + in doubt, key by key, and the usages that it shows
    as in doubt are as much as its books say. `acknowledged`: {(subscription, item price, day): Decimal}."""
    shown = collections.defaultdict(Decimal)
    for doubt in doubts:
        shown[doubt.key] = EXACT.add(shown[doubt.key], doubt.quantity)
    problems = []
    for key in sorted(balances.keys() | acknowledged.keys() | shown.keys()):
        row = collections.defaultdict(lambda: "0", balances.get(key, {}))
        accepted, delivered, in_doubt = (Decimal(row[name]) for name in ("accepted", "delivered", "in_doubt"))
        wanted = acknowledged.get(key, Decimal(0))
        if accepted != wanted:
            problems.append(f"{key}: acknowledged {wanted}, accepted {accepted}")
        if in_doubt != shown[key] or accepted != exact_sum((delivered, in_doubt)):
            doubtful = f"in doubt {in_doubt}, shown in doubt {shown[key]}"
            problems.append(f"{key}: accepted {accepted}, delivered {delivered}, {doubtful}")
    return problems


def doubts_of(outbox, day_of):
    """The Doubts among an outbox's rows. `day_of`: the usage day of a usage_date."""
    return [doubt_of(row, day_of) for row in outbox if row["state"] == "in_doubt"]


def doubt_of(row, day_of):
    """Where no amount is told, what is charged is the quantity itself."""
    subscription, item_price, quantity = row["subscription_id"], row["item_price_id"], Decimal(row["quantity"])
    amount = quantity if row["amount"] is None else Decimal(row["amount"])
    key = subscription, item_price, day_of(row["usage_date"])
    return Doubt(row["id"], series_of_item(subscription, item_price), amount, key, quantity)


def self_test():
    """Negative control: each wrong ledger and each wrong book must be reported, the right ones not."""
    day, v1, preview = "2026-03-01", ("XE1", "BI1"), ("XE1", None)
    assert due(Decimal("1000000000000.5"), Decimal("0.0075"), 2) == Decimal("7500000000.00")
    assert due(Decimal("-0.5")) == Decimal("-0.5")

    def charge(series, quantity):
        return {"installation": series[0], "sid": series[1], "quantity": quantity}

    right = [charge(v1, "3.25"), charge(v1, "1e2"), charge(preview, "7.5"), charge(preview, "-2")]
    wanted = {v1: Decimal("105.35"), preview: Decimal("6.5")}
    lost = Doubt("lost", v1, Decimal("2.1"), ("XE1", "BI1", day), Decimal("280.5"))
    there = Doubt("there", v1, Decimal("3.25"), ("XE1", "BI1", day), Decimal("433.5"))
    spare = Doubt("spare", preview, Decimal(1), ("XE1", "units", day), Decimal(1))
    doubts = [lost, there, spare]
    assert compare_series(wanted, right, doubts) == [], compare_series(wanted, right, doubts)
    for problem, charges, shown in (
        ("a charge came twice", [*right, right[0]], doubts),
        ("and a usage in doubt of its amount hides the sum", [*right, charge(v1, "2.10"), charge(v1, "2.1")], doubts),
        ("what is in doubt and not applied is hidden", right, [there, spare]),
        ("a charge is missing", right[1:], [lost, spare]),
        ("a cent is missing", [charge(v1, "3.24"), *right[1:]], [lost, spare]),
        ("an unknown series was charged", [*right, charge(("XE2", "BI1"), "1")], doubts),
    ):
        assert compare_series(wanted, charges, shown), problem
    books = {lost.key: {"accepted": "1000", "delivered": "286", "in_doubt": "714"},
             spare.key: {"accepted": "7.5", "delivered": "6.5", "in_doubt": "1"}}
    acknowledged = {lost.key: Decimal(1000), spare.key: Decimal("7.5")}
    assert compare_books(books, acknowledged, doubts) == [], compare_books(books, acknowledged, doubts)
    assert compare_books(books, acknowledged, [lost, spare]), "a usage in doubt is hidden, though it was applied"
    assert compare_books(books, acknowledged | {lost.key: Decimal(999)}, doubts), "counted twice"
    short = books | {lost.key: books[lost.key] | {"delivered": "285"}}
    assert compare_books(short, acknowledged, doubts), "a unit is lost"
    assert compare_books(books, acknowledged | {("XE2", "BI1", day): Decimal(1)}, doubts), "a series lost"


if __name__ == "__main__":
    self_test()
    print("the comparison sees what it must see")
