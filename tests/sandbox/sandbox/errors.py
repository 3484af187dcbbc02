"""The vendor's error answers: one JSON shape for every refusal."""

import json

from .http import Response

JSON_TYPE = "application/json;charset=utf-8"

# The `type` beside each code. The vendor leaves it out for some (authentication); the published schema requires
# it, so it is always sent here.
_OPERATION_FAILED = {
    "api_request_limit_exceeded",
    "lock_timeout",
    "internal_error",
    "internal_temporary_error",
    "site_read_only_mode",
}


class ApiError(Exception):
    """A refusal. Nothing was applied."""

    def __init__(self, status, code, message, param=None, headers=()):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = tuple(headers)

    def response(self):
        body = {
            "message": self.message,
            "type": "operation_failed" if self.code in _OPERATION_FAILED else "invalid_request",
            "api_error_code": self.code,
        }
        if self.param is not None:
            body["param"] = self.param
        body["error_code"] = self.code  # the older name of the same thing
        body["http_status_code"] = self.status
        return json_response(self.status, body, self.headers, error_code=self.code)


def json_response(status, value, headers=(), **notes):
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    return Response(status, (("Content-Type", JSON_TYPE), *headers), body, **notes)


def wrong_value(param, message):
    return ApiError(400, "param_wrong_value", f"{param} : {message}", param)


def duplicate(param, message):
    return ApiError(400, "duplicate_entry", message, param)


def not_found(message):
    return ApiError(404, "resource_not_found", message)


def method_not_supported(allowed):
    return ApiError(405, "http_method_not_supported", "The method is not supported here", headers=[("Allow", allowed)])


# What the faults that are refusals answer; canned.py adds the Retry-After of error_429 and error_429_date.
_THROTTLED = ApiError(429, "api_request_limit_exceeded", "Too many requests")
_INTERNAL = ApiError(500, "internal_error", "An internal error occurred")
OF_FAULTS = {
    "error_400": wrong_value("quantity", "is not valid"),
    "error_401": ApiError(401, "api_authentication_failed", "The API key is not valid"),
    "error_403": ApiError(403, "api_authorization_failed", "The API key may not do this"),
    # "not enabled for live sites by default": the refusal is undocumented; this is the vendor's code for a site's setting.
    "usages_api_off": ApiError(400, "configuration_incompatible", "Metered Billing is not enabled for this site"),
    "error_404": not_found("The subscription is not found"),
    "error_405": method_not_supported("GET"),
    "error_409": ApiError(409, "invalid_state_for_request", "The usage is already invoiced"),
    "error_422": ApiError(422, "unable_to_process_request", "The idempotency key was used with another request"),
    "error_429": _THROTTLED,
    "error_429_date": _THROTTLED,
    "error_429_bare": _THROTTLED,
    "lock_timeout": ApiError(429, "lock_timeout", "The subscription is locked by another request"),
    "error_500": _INTERNAL,
    "error_500_after": _INTERNAL,
    "error_503": ApiError(503, "internal_temporary_error", "Temporarily unavailable, try again"),
    "error_503_maintenance": ApiError(503, "site_read_only_mode", "The site is under maintenance"),
    "duplicate_late": duplicate("id", "The value is already present"),
}
