"""Chargebee: authentication, the rate limit, routes and idempotency around the operations on usages."""

import hmac
import urllib.parse

from . import auth, downloads, errors, kinds, listing, params, usages
from .errors import ApiError, json_response, method_not_supported, not_found
from .idempotency import IdempotencyMemory
from .ledger import Ledger
from .rate import RateLimit

_LIST = "/api/v2/usages"
_PDF = "/api/v2/usages/pdf"
_SUBSCRIPTIONS = "/api/v2/subscriptions/"


class Chargebee:
    """A vendor: see site.py for what that is."""

    name = kinds.CHARGEBEE
    refusals = errors.OF_FAULTS
    broken_json = (200, b'{"usage":{"id":"usage_')

    def __init__(self, options, clock, file):
        self.ledger = Ledger(file, options.unique, options.lifetime_limit)
        self.memory = IdempotencyMemory(clock, options.key_window)
        self.downloads = downloads.Downloads(self.ledger, clock, "https" if options.tls_cert else "http")
        self._clock = clock
        self._rate = RateLimit(clock, options.rate_per_minute)
        self._key = options.key

    def meets(self, kind, request):
        if kind == "duplicate_late":  # only a create can be a duplicate
            return request.method == "POST" and request.path.endswith("/usages")
        return True

    def handle(self, request, kind=None):
        """Answers one API request or download. After some faults a change's idempotency key is not kept."""
        try:
            if request.path.startswith(downloads.PREFIX):
                return self.downloads.serve(request)
            self._throttle()
            self._authenticate(request)
            return self._route(request, kind not in kinds.FORGETFUL)
        except ApiError as error:
            return error.response()

    def restore(self, entry):
        self.ledger.restore(entry)
        if entry["op"] == "link":
            self.downloads.restore(entry["link"])
        if entry.get("stored"):
            self.memory.remember(entry["stored"])

    def report(self):
        return self.ledger.report() | {"replays": self.memory.replays}

    def _throttle(self):
        wait = self._rate.take()
        if wait is not None:
            headers = [("Retry-After", str(wait))]
            raise ApiError(429, "api_request_limit_exceeded", "Too many requests", headers=headers)

    def _authenticate(self, request):
        """The API key as user, an empty password."""
        given = auth.basic(request)
        if given is None:
            code, message = "basic_authentication_failed", "Basic authentication is required"
            raise ApiError(401, code, message, headers=[auth.CHALLENGE])
        user, password = given
        if password or not hmac.compare_digest(user, self._key.encode()):
            raise ApiError(401, "api_authentication_failed", "The API key is not valid", headers=[auth.CHALLENGE])

    def _route(self, request, remember):
        if request.path == _LIST:
            _expect_method(request, "GET")
            return listing.list_usages(self.ledger, params.parse_query(request))
        if request.path == _PDF:
            _expect_method(request, "POST")
            return self._change(request, remember, lambda stored: self._pdf(request, stored))
        if not request.path.startswith(_SUBSCRIPTIONS):
            raise not_found("No such resource")
        # Split from the right: the vendor's own SDK leaves a "/" in an id as it is.
        subscription, _, operation = request.path.removeprefix(_SUBSCRIPTIONS).rpartition("/")
        subscription = _decoded(subscription)
        if operation == "usages" and request.method == "GET":
            usage = usages.find(self.ledger, subscription, params.parse_query(request))
            return json_response(200, {"usage": usage})
        if operation == "usages":
            _expect_method(request, "POST", "GET, POST")
            return self._change(request, remember, lambda stored: self._create(request, subscription, stored))
        if operation == "delete_usage":
            _expect_method(request, "POST")
            return self._change(request, remember, lambda stored: self._delete(request, subscription, stored))
        raise not_found("No such resource")

    def _change(self, request, remember, apply):
        """Idempotency around a change. `apply` is given the function that makes the entry to store with it."""
        key = self.memory.key_of(request)
        if key is None:
            return json_response(200, apply(lambda answer: None), applied=True)
        fingerprint = request.fingerprint()
        replayed = self.memory.replay(key, fingerprint)
        if replayed:
            return replayed

        def stored(answer):
            entry = self.memory.entry(key, fingerprint, answer) if remember else None
            if entry:
                self.memory.remember(entry)
            return entry

        return json_response(200, apply(stored), applied=True)

    def _create(self, request, subscription, stored):
        usage = usages.create(self.ledger, self._clock, subscription, params.parse_form(request))
        answer = {"usage": usage}
        self.ledger.create(usage, stored(answer))
        return answer

    def _delete(self, request, subscription, stored):
        usage = usages.find_deletable(self.ledger, subscription, params.parse_form(request))
        answer = {"usage": usage}
        self.ledger.delete(usage["id"], stored(answer))
        return answer

    def _pdf(self, request, stored):
        # A replay repeats the first link, which its key may outlive by 20 minutes (undocumented): see valid_till.
        link = self.downloads.prepare(params.parse_form(request))
        answer = self.downloads.answer(request, link)
        self.downloads.publish(link, stored(answer))
        return answer


def _expect_method(request, method, allowed=None):
    if request.method != method:
        raise method_not_supported(allowed or method)


def _decoded(segment):
    try:
        text = urllib.parse.unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise not_found("The subscription's id is not utf-8") from None
    if not 1 <= len(text) <= usages.ID_MAX:
        raise not_found("No such subscription")
    return text
