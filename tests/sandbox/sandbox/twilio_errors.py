"""Twilio's error answers: one JSON shape for every refusal.

Documented for these APIs or for all: 20003, 20404, 20429. Undocumented: which code they give for a bad body, another
method, a missing permission or a failure of their own. Here it is the fitting one of the vendor's general list.
"""

from .auth import CHALLENGE
from .errors import json_response

INVALID = 20001
FORBIDDEN = 20403


class TwilioError(Exception):
    """A refusal. Nothing was applied."""

    def __init__(self, status, code, message, headers=()):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = tuple(headers)

    def response(self):
        body = {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
        return json_response(self.status, body, self.headers, error_code=self.code)


def invalid(message):
    return TwilioError(400, INVALID, message)


def unauthorised():
    return TwilioError(401, 20003, "Authenticate", [CHALLENGE])


def not_found(path):
    return TwilioError(404, 20404, f"The requested resource {path} was not found")


def method_not_allowed():
    return TwilioError(405, 20004, "Method not allowed", [("Allow", "POST")])


def throttled(wait=None):
    return TwilioError(429, 20429, "Too Many Requests", [] if wait is None else [("Retry-After", str(wait))])


# What the faults that are refusals answer; canned.py adds the Retry-After of error_429 and error_429_date.
_INTERNAL = TwilioError(500, 20500, "Internal Server Error")
OF_FAULTS = {
    "error_400": invalid("Invalid parameter"),
    "error_401": unauthorised(),
    "error_403": TwilioError(403, FORBIDDEN, "Forbidden"),
    "error_404": not_found("/InstalledAddOns"),
    "error_405": method_not_allowed(),
    "error_429": throttled(),
    "error_429_date": throttled(),
    "error_429_bare": throttled(),
    "error_500": _INTERNAL,
    "error_500_after": _INTERNAL,
    "error_503": TwilioError(503, 20503, "Service Unavailable"),
    # "requires Twilio to turn on manual usage reporting": the refusal is undocumented. 404 would say "not installed".
    "manual_reporting_off": TwilioError(403, FORBIDDEN, "Manual usage reporting is not turned on for this Add-on"),
}
