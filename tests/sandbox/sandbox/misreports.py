"""V1's 202 under a fault: some items not submitted, or an answer that does not tell what was charged."""

import decimal

from .billable_items import answer as body_of
from .billable_items import total
from .totals import EXACT, plain

_TOO_MUCH = decimal.Decimal("1.01")  # far beyond what a client may put down to floating numbers


def submitted(kind, count):
    """For each item whether it is charged. Under `partial` every other one, the first is not."""
    return [kind != "partial" or index % 2 == 1 for index in range(count)]


def answer(kind, rows):
    """(the body, whether the fault spared it: there was nothing to tell wrongly)."""
    right = _honest(rows)
    body = _ANSWERS.get(kind, _honest)(rows)
    return body, kind in _ANSWERS and body == right


def _total(rows):
    return total(quantity for _, quantity, good in rows if good)


def _honest(rows):
    return body_of(plain(_total(rows)), rows)


def _wrong_total(rows):
    return body_of(plain(EXACT.multiply(_total(rows), _TOO_MUCH)), rows)


def _float_total(rows):
    added = sum(float(quantity) for _, quantity, good in rows if good)
    exact = _total(rows)
    return body_of(plain(exact) if decimal.Decimal(repr(added)) == exact else repr(added), rows)


def _fewer_items(rows):
    return _honest(rows[:-1])  # the total fits what is listed: only the number of items gives it away


def _shuffled(rows):
    return _honest(rows[1:] + rows[:1])


_ANSWERS = {
    "wrong_total": _wrong_total,
    "float_total": _float_total,
    "fewer_items": _fewer_items,
    "shuffled": _shuffled,
}
KINDS = frozenset({"partial", *_ANSWERS})
