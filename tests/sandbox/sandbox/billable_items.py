"""V1's bodies: the billable items that a request reports, and what the answer says of them.

A quantity is kept as the text that was sent and never passes through a float. Undocumented, and chosen here:
    empty list, unknown fields      refused, as a field given twice
    shape of a sid                  that of every example: BI and 32 hex digits. The schema says "string"
    one item that is not valid      refuses the whole request; nothing of it is charged
    digits                          the vendor calls a quantity a floating number. A double keeps 15 digits: with more
                                    another amount might be billed than was sent, so more are refused
    notation of the answer          numbers in their shortest notation, whatever they were sent as
"""

import decimal
import json
import re

from .totals import EXACT, plain
from .twilio_errors import INVALID, TwilioError, invalid

QUANTITY_LENGTH_MAX = 40

_TYPE = re.compile(r'application/json(\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
_SID = re.compile(r"BI[0-9a-fA-F]{32}")
_HUGE = re.compile(r"[eE][+-]?0*[0-9]{3,}")


class _Number(str):
    """A JSON number as it was sent; a JSON string is a plain str."""


def parse(request, items_max, digits_max):
    """[(sid, quantity as sent), ...] in the order given."""
    if not _TYPE.fullmatch(request.header("content-type") or ""):
        raise TwilioError(415, INVALID, "the body must be application/json in utf-8")
    items = _members(_json(request.body), {"billable_items"}, "the body")["billable_items"]
    if not isinstance(items, list) or not items:
        raise invalid("billable_items must be a list that is not empty")
    if items_max is not None and len(items) > items_max:
        raise invalid(f"billable_items must hold at most {items_max} items")
    return [_item(item, f"billable_items[{index}]", digits_max) for index, item in enumerate(items)]


def _json(body):
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_float=_Number,
            parse_int=_Number,
            parse_constant=_not_json,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError):
        raise invalid("the body is not JSON") from None


def _not_json(name):
    raise ValueError(name)  # NaN and Infinity, which Python would read


def _object(pairs):
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name is given twice")
    return values


def _members(value, names, where):
    if not isinstance(value, dict):
        raise invalid(f"{where} must be an object")
    for name in value:
        if name not in names:
            raise invalid(f"{where} has no field {name}")
    for name in sorted(names):
        if name not in value:
            raise invalid(f"{where} lacks the field {name}")
    return value


def _item(item, where, digits_max):
    values = _members(item, {"sid", "quantity"}, where)
    sid, quantity = values["sid"], values["quantity"]
    if type(sid) is not str or not _SID.fullmatch(sid):
        raise invalid(f"{where}.sid must be BI and 32 hex digits")
    if type(quantity) is not _Number:
        raise invalid(f"{where}.quantity must be a number")
    if len(quantity) > QUANTITY_LENGTH_MAX or _HUGE.search(quantity):
        raise invalid(f"{where}.quantity must have at most {QUANTITY_LENGTH_MAX} characters, its exponent 2 digits")
    number = decimal.Decimal(quantity)
    if number <= 0:
        raise invalid(f"{where}.quantity must be more than 0")
    if len(EXACT.normalize(number).as_tuple().digits) > digits_max:
        raise invalid(f"{where}.quantity must have at most {digits_max} significant digits")
    return sid, str(quantity)


def total(quantities):
    """Their exact sum, a Decimal."""
    result = decimal.Decimal(0)
    for quantity in quantities:
        result = EXACT.add(result, decimal.Decimal(quantity))
    return result


def answer(total_text, rows):
    """The body of a 202: JSON by hand, because Python's writes no exact decimals. Rows: (sid, quantity, submitted)."""
    items = ",".join(
        f'{{"sid":"{sid}","quantity":{plain(decimal.Decimal(quantity))},"submitted":{json.dumps(submitted)}}}'
        for sid, quantity, submitted in rows
    )
    return f'{{"total_submitted":{total_text},"billable_items":[{items}]}}'.encode("ascii")
