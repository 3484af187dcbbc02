"""List usages: filters, order and pages.

Served: subscription_id, item_price_id and id with is, is_not, starts_with; usage_date with after, before, on,
between; limit, offset, sort_by[asc|desc]=usage_date. The other filters of the API are refused by name.
Undocumented and chosen here: after and before exclude the given second, between includes both ends, `on` is
exactly that second.
"""

import json
import re

from . import params
from .errors import json_response, wrong_value

LIMIT_DEFAULT, LIMIT_MAX = 10, 100

_FILTER = re.compile(r"(subscription_id|item_price_id|id|usage_date)\[([a-z_]+)\]")
_BETWEEN = re.compile(r"\[([0-9]{1,10}),([0-9]{1,10})\]")
_OFFSET = re.compile(r'\["([0-9]{1,12})","([0-9]{1,12})"\]')
_TEXT = {
    "is": lambda value, wanted: value == wanted,
    "is_not": lambda value, wanted: value != wanted,
    "starts_with": lambda value, wanted: value.startswith(wanted),
}
_TIME = {
    "after": lambda value, wanted: value > wanted,
    "before": lambda value, wanted: value < wanted,
    "on": lambda value, wanted: value == wanted,
}


def list_usages(ledger, values):
    tests, has_subscription = [], False
    for name, value in values.items():
        if name in ("limit", "offset", "sort_by[asc]", "sort_by[desc]"):
            continue
        tests.append(_filter(name, value))
        has_subscription = has_subscription or name.startswith("subscription_id[")
    if not has_subscription:  # "required, string filter"
        raise wrong_value("subscription_id", "cannot be blank")
    rows = [usage for usage in ledger.usages.values() if all(test(usage) for test in tests)]
    return _page(rows, values, ledger.sequence)


def _filter(name, value):
    match = _FILTER.fullmatch(name)
    attribute, operator = match.groups() if match else (name, "")
    if match and attribute == "usage_date" and operator == "between":
        ends = _BETWEEN.fullmatch(value.replace(" ", ""))
        if not ends:
            raise wrong_value(name, "must be [seconds,seconds]")
        first, last = map(int, ends.groups())
        return lambda usage: first <= usage["usage_date"] <= last
    compare = (_TIME if attribute == "usage_date" else _TEXT).get(operator)
    if match is None or compare is None:
        raise wrong_value(name, "is not a filter that the sandbox serves")
    wanted = params.seconds(value, name) if attribute == "usage_date" else value
    if wanted == "":
        raise wrong_value(name, "cannot be blank")
    return lambda usage: compare(usage[attribute], wanted)


def _page(rows, values, sequence):
    limit = _limit(values.get("limit"))
    order, descending = _order(values)

    def place(usage):
        return usage[order], sequence[usage["id"]]  # unique, so a page has an exact end

    rows.sort(key=place, reverse=descending)
    start = _offset(values.get("offset"))
    if start is not None:
        rows = [usage for usage in rows if (place(usage) < start if descending else place(usage) > start)]
    answer = {"list": [{"usage": usage} for usage in rows[:limit]]}
    if len(rows) > limit:
        # Like the vendor's own: a JSON array of strings, which a client must percent-encode to send it back.
        answer["next_offset"] = json.dumps([str(part) for part in place(rows[limit - 1])], separators=(",", ":"))
    return json_response(200, answer)


def _limit(text):
    if text is None:
        return LIMIT_DEFAULT
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= LIMIT_MAX:
        raise wrong_value("limit", f"must be a number from 1 to {LIMIT_MAX}")
    return int(text)


def _order(values):
    """(attribute, descending). Without sort_by: by created_at, earliest first."""
    given = [name for name in ("sort_by[asc]", "sort_by[desc]") if name in values]
    if len(given) > 1:
        raise wrong_value("sort_by", "is given more than once")
    if not given:
        return "created_at", False
    if values[given[0]] != "usage_date":
        raise wrong_value("sort_by", "only usage_date can be sorted by")
    return "usage_date", given[0] == "sort_by[desc]"


def _offset(text):
    if text is None:
        return None
    match = _OFFSET.fullmatch(text)
    if not match:
        raise wrong_value("offset", "is not a next_offset of this list")
    return tuple(map(int, match.groups()))
