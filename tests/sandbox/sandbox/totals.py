"""Exact sums of what was charged."""

import datetime
import decimal

# A quantity has at most 40 characters. 400 digits hold any sum of them; a sum that would not be exact raises.
EXACT = decimal.Context(prec=400, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow])
DAY_SECONDS = 86400


def utc_day(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d")


def plain(value):
    """The shortest exact notation: no exponent, no zeros at the end of a fraction."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class Sums:
    """By key: the sum of the quantities, and how many they are."""

    def __init__(self):
        self._sums = {}  # key -> [Decimal, count]

    def add(self, key, quantity):
        entry = self._sums.setdefault(key, [decimal.Decimal(0), 0])
        entry[0] = EXACT.add(entry[0], decimal.Decimal(quantity))
        entry[1] += 1

    def remove(self, key, quantity):
        entry = self._sums[key]
        entry[0] = EXACT.subtract(entry[0], decimal.Decimal(quantity))
        entry[1] -= 1
        if entry[1] == 0:
            del self._sums[key]

    def rows(self):
        """(key, the sum as text, count), in the order of the keys."""
        return [(key, plain(total), count) for key, (total, count) in sorted(self._sums.items())]


class Totals:
    """Of usages, by subscription, item price and UTC day."""

    def __init__(self):
        self._sums = Sums()

    def add(self, usage):
        self._sums.add(_key(usage), usage["quantity"])

    def remove(self, usage):
        self._sums.remove(_key(usage), usage["quantity"])

    def report(self):
        return [
            {
                "subscription_id": subscription,
                "item_price_id": item_price,
                "day": utc_day(day * DAY_SECONDS),
                "quantity": quantity,
                "usages": usages,
            }
            for (subscription, item_price, day), quantity, usages in self._sums.rows()
        ]


def _key(usage):
    return usage["subscription_id"], usage["item_price_id"], usage["usage_date"] // DAY_SECONDS
