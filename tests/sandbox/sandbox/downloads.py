"""The usages of an invoice as PDF: the call that makes a link, and what plays the file store that the link points at.

The vendor's links point at Amazon S3: whoever has one may fetch the document, until it expires. S3 refuses a signed
link that comes with credentials, so a client that sends its API key to another host is seen here. A link shows the
usages as they were when it was made. Undocumented: the order of the usages, here the order of creation.
"""

import re
import secrets

from . import params, pdf
from .errors import ApiError, not_found, wrong_value
from .http import Response

PREFIX = "/_downloads/"
VALID_SECONDS = 600
REDIRECTS_MAX = 100
INVOICE_ID_MAX = 50

_SUFFIX = ".pdf"
_INVOICE = "invoice[id]"
_DISPOSITION = "disposition_type"


class Downloads:
    def __init__(self, ledger, clock, scheme):
        self._ledger = ledger
        self._clock = clock
        self._scheme = scheme
        self._links = {}  # token -> link
        self._redirects = 0

    def prepare(self, form):
        """The link to publish. Raises the refusal; changes nothing."""
        params.only(form, {_INVOICE, _DISPOSITION})
        invoice = params.text(form, _INVOICE, INVOICE_ID_MAX, required=True)
        # The vendor's sample request has INLINE, its list of values has not: in doubt the narrower.
        disposition = form.get(_DISPOSITION, "attachment")
        if disposition not in ("attachment", "inline"):
            raise wrong_value(_DISPOSITION, "must be attachment or inline")
        rows = [[u["id"], u["quantity"]] for u in self._ledger.usages.values() if u.get("invoice_id") == invoice]
        if not rows:
            raise not_found(f"there are no usages of the invoice {invoice}")
        return {
            "token": secrets.token_urlsafe(24),
            "invoice_id": invoice,
            "disposition": disposition,
            "rows": rows,
            "valid_till": int(self._clock.now()) + VALID_SECONDS,
        }

    def answer(self, request, link):
        return {
            "download": {
                "download_url": self._url(request, link),
                "valid_till": link["valid_till"],
                "mime_type": "application/pdf",
                "object": "download",
            }
        }

    def publish(self, link, stored=None):
        self.restore(link)
        self._ledger.linked(link, stored)

    def restore(self, link):
        self._links[link["token"]] = link

    def redirect(self, values):
        """The next so many downloads answer 302 to another link."""
        params.only(values, {"times"})
        times = values.get("times", "")
        if not re.fullmatch(r"[0-9]{1,3}", times) or int(times) > REDIRECTS_MAX:
            raise wrong_value("times", f"must be a number from 0 to {REDIRECTS_MAX}")
        self._redirects = int(times)
        return {"redirects_left": self._redirects}

    def serve(self, request):
        """No part of the vendor's API: no key, no rate limit, and errors as S3 has them."""
        if request.header("authorization") is not None:
            return _refusal(400, "InvalidArgument", "Only one auth mechanism allowed")
        if request.method != "GET":
            return _refusal(405, "MethodNotAllowed", "The method is not allowed here", [("Allow", "GET")])
        link = self._links.get(request.path.removeprefix(PREFIX).removesuffix(_SUFFIX))
        if link is None or not request.path.endswith(_SUFFIX):
            return _refusal(404, "NoSuchKey", "There is no such document")
        if self._clock.now() >= link["valid_till"]:
            return _refusal(403, "AccessDenied", "Request has expired")
        if self._redirects:
            self._redirects -= 1
            another = dict(link, token=secrets.token_urlsafe(24))
            self.publish(another)
            return Response(302, (("Location", self._url(request, another)),), b"")
        disposition = f"{link['disposition']};filename={link['token']}{_SUFFIX}"
        headers = (("Content-Type", "application/pdf"), ("Content-Disposition", disposition))
        return Response(200, headers, pdf.document(_lines(link)))

    def _url(self, request, link):
        """On the sandbox itself, by the name that the client knows it by."""
        host = request.header("host")
        if not host:  # HTTP/1.0
            raise ApiError(400, "invalid_request", "a link needs the request's Host header")
        return f"{self._scheme}://{host}{PREFIX}{link['token']}{_SUFFIX}"


def _lines(link):
    width = max(len(usage_id) for usage_id, _ in link["rows"])
    return [f"Usages of invoice {link['invoice_id']}", ""] + [f"{u:{width}}  {q}" for u, q in link["rows"]]


def _refusal(status, code, message, headers=()):
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, (("Content-Type", "application/xml"), *headers), body.encode(), error_code=code)
