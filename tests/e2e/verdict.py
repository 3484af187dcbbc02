"""What must hold between what was sent, what was acknowledged and what was billed. Pure functions on plain values.

`billed` is {(subscription, item price, day): Decimal}, the sandbox's totals. Every function returns the problems that
it found, one line each; none means that the claim holds. self_test() is the negative control: it feeds in ledgers that
are wrong by one unit and must see them.
"""

import collections
import dataclasses
import decimal
from decimal import Decimal

# Any sum of 40-character quantities is exact in 400 digits; one that would not be raises.
EXACT = decimal.Context(prec=400, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow])


def exact_sum(values):
    total = Decimal(0)
    for value in values:
        total = EXACT.add(total, value)
    return total


@dataclasses.dataclass
class Exact:
    """Acknowledged as committed: billed to the unit, per subscription, item price and day."""

    name: str
    item_price: str
    totals: dict  # (subscription, item price, day) -> Decimal


@dataclasses.dataclass
class Lossy:
    """Every event has the same quantity, so that the billed quantity says how many events arrived."""

    name: str
    item_price: str
    unit: Decimal
    sent: dict  # subscription -> events
    at_risk: dict  # subscription -> events that a kill may have taken


@dataclasses.dataclass
class Between:
    """A counter that runs by itself: only bounds are known."""

    name: str
    item_price: str
    least: Decimal
    most: Decimal


@dataclasses.dataclass
class Shown:
    """What is counted by a source: whatever of it is not billed is shown, and never is more billed than was sent."""

    name: str
    item_price: str
    sent: dict  # subscription -> Decimal
    lost: Decimal | None = None  # as the device shows it, exactly; None: it does not know
    lost_max: Decimal = Decimal(0)  # more than this may not be missing, whatever is shown


def compare(expected, billed):
    """{name: problems} for each claim, and "" for what was billed without being asked for."""
    out = {claim.name: [] for claim in expected}
    known = {claim.item_price for claim in expected}
    stray = [(key, value) for key, value in billed.items() if key[1] not in known]
    out[""] = [f"{key}: {value} billed for an item price that nothing was sent to" for key, value in stray]
    for claim in expected:
        own = {key: value for key, value in billed.items() if key[1] == claim.item_price}
        out[claim.name] = _CHECKS[type(claim)](claim, own)
    return out


def _exact(claim, billed):
    problems = []
    for key in sorted(claim.totals.keys() | billed.keys()):
        wanted, got = claim.totals.get(key, Decimal(0)), billed.get(key, Decimal(0))
        if wanted != got:
            problems.append(f"{key}: acknowledged {wanted}, billed {got}, difference {EXACT.subtract(got, wanted)}")
    return problems


def _lossy(claim, billed):
    problems = []
    by_subscription = collections.defaultdict(Decimal)
    for (subscription, _, _), value in billed.items():
        by_subscription[subscription] = EXACT.add(by_subscription[subscription], value)
    for subscription in sorted(claim.sent.keys() | by_subscription.keys()):
        sent, at_risk = claim.sent.get(subscription, 0), claim.at_risk.get(subscription, 0)
        events, rest = divmod(by_subscription[subscription], claim.unit)
        if rest != 0:
            problems.append(f"{subscription}: billed {by_subscription[subscription]} is no multiple of {claim.unit}")
        if events > sent:
            problems.append(f"{subscription}: {events} events billed, only {sent} sent")
        if sent - events > at_risk:
            problems.append(f"{subscription}: {sent - events} of {sent} events lost, at most {at_risk} were at risk")
    return problems


def _between(claim, billed):
    total = exact_sum(billed.values())
    if claim.least <= total <= claim.most:
        return []
    return [f"billed {total}, not within {claim.least} and {claim.most}"]


def _shown(claim, billed):
    problems, missing = [], Decimal(0)
    by_subscription = dict.fromkeys(claim.sent, Decimal(0))
    for (subscription, _, _), value in billed.items():
        by_subscription[subscription] = EXACT.add(by_subscription.get(subscription, Decimal(0)), value)
    for subscription, value in sorted(by_subscription.items()):
        left = claim.sent.get(subscription, Decimal(0)) - value
        if left < 0:
            problems.append(f"{subscription}: billed {value}, {-left} more than was sent")
        missing += left
    if claim.lost is not None and missing != claim.lost:
        problems.append(f"{missing} missing, {claim.lost} shown as lost")
    if missing > claim.lost_max:
        problems.append(f"{missing} missing, at most {claim.lost_max} may be")
    return problems


_CHECKS = {Exact: _exact, Lossy: _lossy, Between: _between, Shown: _shown}


def compare_balances(balances, billed):
    """The device's own books against the sandbox's: accepted = delivered = billed, key by key."""
    problems = []
    for key in sorted(balances.keys() | billed.keys()):
        got = billed.get(key, Decimal(0))
        row = balances.get(key, {})
        accepted, delivered = Decimal(row.get("accepted", "0")), Decimal(row.get("delivered", "0"))
        if not accepted == delivered == got:
            problems.append(f"{key}: the device accepted {accepted} and delivered {delivered}, billed {got}")
    return problems


def compare_gaps(expected, shown):
    """{source: number of gaps}: each is told once."""
    wrong = sorted(name for name in expected.keys() | shown.keys() if expected.get(name) != shown.get(name))
    return [f"{name}: {shown.get(name)} gaps are shown, {expected.get(name)} there were" for name in wrong]


def created_twice(ids):
    counts = collections.Counter(ids)
    return [f"usage {usage_id} was created {count} times" for usage_id, count in counts.items() if count > 1]


def billed_totals(ledger):
    """{(subscription, item price, day): Decimal} of GET /_sandbox/ledger."""
    rows = ledger["totals"]
    return {(row["subscription_id"], row["item_price_id"], row["day"]): Decimal(row["quantity"]) for row in rows}


def self_test():
    """Negative control: each wrong ledger must be reported, the right one must not. Raises AssertionError."""
    day, big, small = "2026-03-01", Decimal("1000000000000000000000.000001"), Decimal("0.000001")
    exact = {("s1", "exact", day): big, ("s2", "exact", day): Decimal(3)}
    lossy = Lossy("lossy", "lossy", Decimal("0.1"), {"s1": 100}, {"s1": 5})
    claims = [Exact("exact", "exact", exact), lossy, Between("link", "link", Decimal(10), Decimal(20))]
    right = exact | {("s1", "lossy", day): Decimal("9.5"), ("s1", "link", day): Decimal(20)}

    def reported(change, ids=("u1", "u2")):
        problems = compare(claims, right | change)
        return [name for name in problems if problems[name]] + created_twice(ids)

    def wrong(change, names):
        assert reported(change) == names, (change, reported(change))

    assert reported({}) == [], reported({})
    wrong({("s1", "exact", day): big - small}, ["exact"])  # one unit of the last place is missing
    wrong({("s2", "exact", day): Decimal(6)}, ["exact"])  # a usage was billed twice
    wrong({("s2", "exact", "2026-03-02"): Decimal(3)}, ["exact"])  # on another day
    wrong({("s1", "lossy", day): Decimal("9.4")}, ["lossy"])  # one event more is lost than was at risk
    wrong({("s1", "lossy", day): Decimal("10.1")}, ["lossy"])  # one event more than was sent
    wrong({("s1", "lossy", day): Decimal("9.55")}, ["lossy"])  # half an event
    wrong({("s1", "link", day): Decimal(21)}, ["link"])
    wrong({("s1", "other", day): Decimal(1)}, [""])
    assert len(reported({}, ids=("u1", "u1"))) == 1
    _self_test_shown(day)
    books = {key: {"accepted": str(value), "delivered": str(value)} for key, value in right.items()}
    assert compare_balances(books, right) == []
    doubled = right | {("s1", "lossy", day): Decimal("9.6")}  # within what was sent, and still one too many
    assert len(compare_balances(books, doubled)) == 1
    assert len(compare_balances(books, {key: value for key, value in right.items() if key[0] == "s1"})) == 1


def _self_test_shown(day):
    sent = {"s1": Decimal(900), "s2": Decimal(100)}

    def wrong(first, second, **allowed):
        billed = {("s1", "data", day): Decimal(first), ("s2", "data", day): Decimal(second)}
        return bool(compare([Shown("data", "data", sent, **allowed)], billed)["data"])

    lost = {"lost": Decimal(10), "lost_max": Decimal(20)}
    assert not wrong(900, 100) and not wrong(895, 95, **lost) and not wrong(880, 100, lost_max=Decimal(20))
    assert wrong(901, 100)  # a cursor was stored without what it had counted, and one byte more was read
    assert wrong(1800, 100)  # a cursor was lost: all was counted again
    assert wrong(899, 100)  # and nothing is shown
    assert wrong(901, 99)  # the sums agree, the subscriptions do not
    assert wrong(910, 80, **lost)
    assert wrong(890, 99, **lost) and wrong(891, 100, **lost)  # one more lost than shown, one more shown than lost
    assert wrong(879, 100, lost_max=Decimal(20))  # beyond the bound
    assert wrong(875, 100, lost=Decimal(25), lost_max=Decimal(20))  # shown, and more than a kill could take
    assert not wrong(890, 100, **lost)
    assert not compare_gaps({"a": 2, "b": 0}, {"a": 2, "b": 0})
    assert len(compare_gaps({"a": 2, "b": 0}, {"a": 3, "c": 0})) == 3  # told twice, not seen, not asked for


if __name__ == "__main__":
    self_test()
    print("the comparison sees what it must see")
