"""Parameters: reading a form or a query strictly, and the rules of the single fields."""

import decimal
import re
import urllib.parse

from .errors import ApiError, wrong_value

FIELDS_MAX = 64
FORM_TYPE = "application/x-www-form-urlencoded"

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Plain decimal notation. Signs and exponents are undocumented: refused.
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?")
_SECONDS = re.compile(r"[0-9]{1,10}")


def parse_form(request):
    """The parameters of a POST, as a dict. A body that is not a form is 415 (the vendor documents no code for it)."""
    kind, _, rest = (request.header("content-type") or "").partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if request.body and (kind.strip().lower() != FORM_TYPE or charset not in ("", "utf-8")):
        raise ApiError(415, "invalid_request", f"the body must be {FORM_TYPE} in utf-8")
    try:
        return _parse(request.body.decode("ascii"))
    except UnicodeDecodeError:
        raise ApiError(400, "invalid_request", "the form holds bytes that are not percent-encoded") from None


def parse_query(request):
    return _parse(request.query)


def _parse(text):
    if _BROKEN_ESCAPE.search(text):
        raise ApiError(400, "invalid_request", "a percent sign is not followed by two hex digits")
    try:
        pairs = urllib.parse.parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise ApiError(400, "invalid_request", "the parameters are not name=value pairs in utf-8") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        raise wrong_value(next(n for n in names if names.count(n) > 1), "is given more than once")
    return values


def only(values, allowed):
    """Unknown parameters are refused: a misspelt `note` must not pass silently in a test."""
    for name in values:
        if name not in allowed:
            raise wrong_value(name, "is not a parameter of this operation")


def text(values, name, length_max, required=False):
    """A string parameter, counted in characters; None if it is absent. A required one may not be empty."""
    value = values.get(name)
    if value is None:
        if required:
            raise wrong_value(name, "cannot be blank")
        return None
    if not value and name != "note":
        raise wrong_value(name, "cannot be blank")
    if len(value) > length_max:
        raise wrong_value(name, f"must be at most {length_max} characters")
    return value


def quantity(values):
    """The quantity exactly as sent: more than zero, at most 40 characters. Kept as text, never as a float."""
    value = text(values, "quantity", 40, required=True)
    if not _QUANTITY.fullmatch(value):
        raise wrong_value("quantity", "must be a decimal number")
    if decimal.Decimal(value) <= 0:
        raise wrong_value("quantity", "must be more than 0")
    return value


def seconds(value, name):
    if value is None or not _SECONDS.fullmatch(value):
        raise wrong_value(name, "must be a timestamp in seconds")
    return int(value)
