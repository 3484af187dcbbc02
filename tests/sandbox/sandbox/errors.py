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
