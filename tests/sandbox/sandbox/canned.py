"""The answers that a fault gives instead of the site's own, whole and well-formed HTTP all of them."""

from .errors import ApiError, duplicate, method_not_supported, not_found, wrong_value
from .http import Response

_HTML = ("Content-Type", "text/html; charset=utf-8")
_PROXY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
_LOGIN_PAGE = (
    b'<html><head><title>Welcome</title></head><body><form action="/login" method="post">'
    b'<input name="room"><input type="submit" value="Connect"></form></body></html>\n'
)
_BROKEN_JSON = b'{"usage":{"id":"usage_'

_THROTTLED = "api_request_limit_exceeded"
_ERRORS = {
    "error_400": wrong_value("quantity", "is not valid"),
    "error_401": ApiError(401, "api_authentication_failed", "The API key is not valid"),
    "error_403": ApiError(403, "api_authorization_failed", "The API key may not do this"),
    "error_404": not_found("The subscription is not found"),
    "error_405": method_not_supported("GET"),
    "error_409": ApiError(409, "invalid_state_for_request", "The usage is already invoiced"),
    "error_422": ApiError(422, "unable_to_process_request", "The idempotency key was used with another request"),
    "error_429_bare": ApiError(429, _THROTTLED, "Too many requests"),
    "lock_timeout": ApiError(429, "lock_timeout", "The subscription is locked by another request"),
    "error_500": ApiError(500, "internal_error", "An internal error occurred"),
    "error_500_after": ApiError(500, "internal_error", "An internal error occurred"),
    "error_503": ApiError(503, "internal_temporary_error", "Temporarily unavailable, try again"),
    "error_503_maintenance": ApiError(503, "site_read_only_mode", "The site is under maintenance"),
    "duplicate_late": duplicate("id", "The value is already present"),
}


def answer(kind, spec, clock):
    """The answer of a fault, None for a kind that keeps the site's own answer or gives none."""
    if kind in _ERRORS:
        return _ERRORS[kind].response()
    if kind == "error_429":
        headers = [("Retry-After", spec.retry_after)]
        return ApiError(429, _THROTTLED, "Too many requests", headers=headers).response()
    if kind == "error_429_date":
        now, later = clock.http_dates(_seconds(spec.retry_after))
        headers = [("Date", now), ("Retry-After", later)]
        return ApiError(429, _THROTTLED, "Too many requests", headers=headers).response()
    if kind == "error_502_html":
        return Response(502, (_HTML,), _PROXY_PAGE)
    if kind == "captive_portal":
        return Response(200, (_HTML,), _LOGIN_PAGE)
    if kind == "captive_redirect":
        return Response(302, (_HTML, ("Location", "http://login.example/welcome")), _LOGIN_PAGE)
    if kind == "garbage_json":
        return Response(200, (("Content-Type", "application/json;charset=utf-8"),), _BROKEN_JSON)
    return None


def _seconds(text):
    try:
        return float(text)
    except ValueError:
        return 0.0
