"""The answers that a fault gives instead of the vendor's own, whole and well-formed HTTP all of them."""

from .http import Response

_HTML = ("Content-Type", "text/html; charset=utf-8")
_JSON = ("Content-Type", "application/json;charset=utf-8")
_PROXY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
_ACCEPTED_PAGE = b"<html><head><title>Accepted</title></head><body><h1>Accepted</h1></body></html>\n"
_LOGIN_PAGE = (
    b'<html><head><title>Welcome</title></head><body><form action="/login" method="post">'
    b'<input name="room"><input type="submit" value="Connect"></form></body></html>\n'
)


def answer(kind, vendor, spec, clock):
    """The answer of a fault, None for a kind that keeps the vendor's own answer or gives none."""
    if kind in vendor.refusals:
        response = vendor.refusals[kind].response()
        response.headers += _retry_after(kind, spec, clock)
        return response
    if kind == "error_502_html":
        return Response(502, (_HTML,), _PROXY_PAGE)
    if kind == "wrong_type":
        return Response(202, (_HTML,), _ACCEPTED_PAGE)
    if kind == "captive_portal":
        return Response(200, (_HTML,), _LOGIN_PAGE)
    if kind == "captive_redirect":
        return Response(302, (_HTML, ("Location", "http://login.example/welcome")), _LOGIN_PAGE)
    if kind == "garbage_json":
        status, body = vendor.broken_json
        return Response(status, (_JSON,), body)
    return None


def _retry_after(kind, spec, clock):
    if kind == "error_429":
        return (("Retry-After", spec.retry_after),)
    if kind == "error_429_date":
        now, later = clock.http_dates(_seconds(spec.retry_after))
        return (("Date", now), ("Retry-After", later))
    return ()


def _seconds(text):
    try:
        return float(text)
    except ValueError:
        return 0.0
