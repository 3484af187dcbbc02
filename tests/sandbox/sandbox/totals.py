"""Exact sums of what was charged, by subscription, item price and UTC day."""

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


class Totals:
    def __init__(self):
        self._sums = {}  # (subscription, item price, day number) -> [Decimal, usages]

    def add(self, usage):
        entry = self._sums.setdefault(_key(usage), [decimal.Decimal(0), 0])
        entry[0] = EXACT.add(entry[0], decimal.Decimal(usage["quantity"]))
        entry[1] += 1

    def remove(self, usage):
        entry = self._sums[_key(usage)]
        entry[0] = EXACT.subtract(entry[0], decimal.Decimal(usage["quantity"]))
        entry[1] -= 1
        if entry[1] == 0:
            del self._sums[_key(usage)]

    def report(self):
        return [
            {
                "subscription_id": subscription,
                "item_price_id": item_price,
                "day": utc_day(day * DAY_SECONDS),
                "quantity": plain(quantity),
                "usages": usages,
            }
            for (subscription, item_price, day), (quantity, usages) in sorted(self._sums.items())
        ]


def _key(usage):
    return usage["subscription_id"], usage["item_price_id"], usage["usage_date"] // DAY_SECONDS
