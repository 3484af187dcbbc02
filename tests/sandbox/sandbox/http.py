"""HTTP/1.1, as much as a billing API needs: requests with a Content-Length, keep-alive, limits on everything."""

import asyncio
import dataclasses
import hashlib
import http
import re

HEAD_BYTES_MAX = 32 * 1024
BODY_BYTES_MAX = 512 * 1024  # some 7,000 of Twilio's items, which has no documented limit of them
HEADERS_MAX = 64

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS = re.compile(r"[0-9]{1,10}")

# Headers that belong to one connection and not to the request: a retry over another connection, through another
# proxy or to another address is still the same request. Everything else is compared (Authorization and
# User-Agent included), because the vendor compares "the URI path, request body and headers" and names no exception.
CONNECTION_HEADERS = frozenset(
    "host connection keep-alive proxy-connection proxy-authorization content-length transfer-encoding te trailer "
    "upgrade expect via forwarded x-forwarded-for x-forwarded-host x-forwarded-proto".split()
)


class HttpError(Exception):
    """A request that cannot be read. The connection is answered and closed: where the next one starts is unknown."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


@dataclasses.dataclass(slots=True)
class Request:
    method: str
    path: str  # percent-encoded, as sent
    query: str
    version: str
    headers: list  # (lower-case name, value) in the order sent
    body: bytes = b""

    def header(self, name):
        """The value of a header, None if it is absent; several of one name are joined."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    def compared_headers(self):
        return sorted(pair for pair in self.headers if pair[0] not in CONNECTION_HEADERS)

    def fingerprint(self):
        """Equal for two requests that the idempotency rule calls the same."""
        digest = hashlib.sha256()
        parts = [self.method, self.path, self.query]
        for name, value in self.compared_headers():
            parts += (name, value)
        for part in parts:
            data = part.encode("latin-1")
            digest.update(b"%d:" % len(data) + data)
        digest.update(self.body)
        return digest.hexdigest()

    def wants_close(self):
        if self.method == "HEAD":
            return True  # refused with a body that its sender does not expect: nothing may follow
        connection = (self.header("connection") or "").lower()
        return "close" in connection or (self.version == "HTTP/1.0" and "keep-alive" not in connection)


@dataclasses.dataclass(slots=True)
class Response:
    status: int
    headers: tuple
    body: bytes
    # What the request log says about it; not sent.
    applied: bool = False
    replayed: bool = False
    error_code: str | int | None = None
    charges: list = dataclasses.field(default_factory=list)  # Twilio's, as the ledger has them
    spared: bool = False  # the fault found nothing to change in this answer

    def noted_as(self, other):
        """What the other answer says of the request is true of this one, which goes out in its place."""
        self.applied, self.replayed, self.charges = other.applied, other.replayed, other.charges
        return self

    def head(self, date, close=False, framing=None):
        """The bytes up to the body. `framing` replaces Content-Length (a body without a known end)."""
        lines = [f"HTTP/1.1 {self.status} {_reason(self.status)}"]
        if not any(name == "Date" for name, _ in self.headers):
            lines.append(f"Date: {date}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(framing or f"Content-Length: {len(self.body)}")
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reason(status):
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


async def read_request(reader, writer):
    """The next request of a connection; None when the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        request = parse_head(head)
        length = _body_length(request)
        if length:
            if (request.header("expect") or "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.body = await reader.readexactly(length)
        return request
    except asyncio.LimitOverrunError:
        raise HttpError(431, f"the request's head is longer than {HEAD_BYTES_MAX} bytes") from None
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def parse_head(head):
    lines = head.decode("latin-1").split("\r\n")[:-2]
    parts = lines[0].split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not parts[1].startswith("/"):
        raise HttpError(400, "the request line is not 'METHOD /path HTTP/1.1'")
    if parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise HttpError(505, "only HTTP/1.1 and HTTP/1.0 are served")
    if len(lines) - 1 > HEADERS_MAX:
        raise HttpError(431, f"more than {HEADERS_MAX} headers")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise HttpError(400, "a header line is not 'Name: value'")
        value = value.strip(" \t")
        if _CONTROL.search(value):
            raise HttpError(400, "a header holds control characters")
        headers.append((name.lower(), value))
    path, _, query = parts[1].partition("?")
    request = Request(parts[0], path, query, parts[2], headers)
    if request.version == "HTTP/1.1" and request.header("host") is None:
        raise HttpError(400, "HTTP/1.1 needs a Host header")
    return request


def _body_length(request):
    if request.header("transfer-encoding") is not None:
        raise HttpError(411, "a body needs a Content-Length")
    text = request.header("content-length")
    if text is None:
        return 0
    if not _DIGITS.fullmatch(text):
        raise HttpError(400, "Content-Length is not a number")
    if int(text) > BODY_BYTES_MAX:
        raise HttpError(413, f"the body is longer than {BODY_BYTES_MAX} bytes")
    return int(text)
