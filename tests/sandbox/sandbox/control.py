"""/_sandbox/: looking into the sandbox and steering it. No part of the vendor's API: no key, no faults, no log."""

import collections
import math

from . import faults, params
from .console import Console
from .errors import ApiError, json_response, method_not_supported, not_found
from .idempotency import KEY_HEADER

PREFIX = "/_sandbox/"
REQUESTS_KEPT = 1000


class Control:
    def __init__(self, site, plan, clock):
        self._site = site
        self._plan = plan
        self._clock = clock
        self._requests = 0
        self._log = collections.deque(maxlen=REQUESTS_KEPT)
        console = Console(site.chargebee.ledger, clock)
        self._routes = {
            ("GET", "ledger"): self._ledger,
            ("GET", "requests"): lambda request: {"requests": list(self._log)},
            ("GET", "faults"): lambda request: self._plan.report(),
            ("POST", "faults"): self._set_faults,
            ("POST", "advance"): self._advance,
            ("POST", "invoice"): lambda request: console.invoice(params.parse_query(request)),
            ("POST", "alter"): lambda request: console.alter(params.parse_query(request)),
            ("POST", "forget"): lambda request: console.forget(params.parse_query(request)),
            ("POST", "redirect"): self._redirect,
        }

    def handle(self, request):
        name = request.path.removeprefix(PREFIX)
        methods = [method for method, route in self._routes if route == name]
        try:
            if not methods:
                raise not_found("No such resource of the sandbox")
            if request.method not in methods:
                raise method_not_supported(", ".join(methods))
            return json_response(200, self._routes[request.method, name](request))
        except ApiError as error:
            return error.response()

    def log(self, request, connection, response, status, fault):
        """Notes an API request before its answer leaves, so that whoever has the answer finds the note."""
        self._requests += 1
        self._log.append(
            {
                "number": self._requests,
                "connection": connection,
                "method": request.method,
                "path": request.path + ("?" + request.query if request.query else ""),
                "idempotency_key": request.header(KEY_HEADER),
                "headers": [pair for pair in request.compared_headers() if pair[0] != "authorization"],
                "body": request.body.decode("utf-8", "backslashreplace"),
                "fingerprint": request.fingerprint(),
                "status": status,
                "error": response.error_code if response and status else None,
                "applied": bool(response and response.applied),
                "replayed": bool(response and response.replayed),
                "charges": response.charges if response else [],
                "fault": fault,
            }
        )

    def _ledger(self, request):
        return self._site.report() | {"requests": self._requests, "faults": dict(self._plan.counts)}

    def _redirect(self, request):
        return self._site.chargebee.downloads.redirect(params.parse_query(request))

    def _set_faults(self, request):
        try:
            self._plan.set(faults.parse(request.body.decode("utf-8")))
        except ValueError as error:
            raise ApiError(400, "invalid_request", str(error)) from None
        return self._plan.report()

    def _advance(self, request):
        values = params.parse_query(request)
        params.only(values, {"seconds"})
        try:
            seconds = float(values.get("seconds", ""))
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= 1e9:
            raise ApiError(400, "invalid_request", "seconds must be a number, not negative")
        self._site.advance(seconds)
        return {"now": self._clock.now(), "advanced": self._clock.advanced}
