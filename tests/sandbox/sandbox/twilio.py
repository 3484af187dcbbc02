"""Twilio Marketplace: usage of an installed add-on, by V1 (JSON) and by the older Preview API (a form).

Neither knows an idempotency key or reads back: a repeated request is charged again. Every installation sid of the
right shape exists. Undocumented: the body of Preview's 202. Its page shows the text "202 Accepted", which is sent here.
"""

import decimal
import hmac
import re

from . import auth, billable_items, kinds, misreports, params, twilio_errors
from .charges import Charges
from .errors import JSON_TYPE, ApiError
from .http import Response
from .rate import RateLimit
from .twilio_errors import TwilioError, invalid

PREFIXES = ("/v1/", "/marketplace/")

_V1 = re.compile(r"/v1/InstalledAddOns/(XE[0-9a-fA-F]{32})/Usage")
_PREVIEW = re.compile(r"/marketplace/InstalledAddOns/(XE[0-9a-fA-F]{32})/Usage")
# "A number greater than or less than zero". A plus sign and exponents are undocumented: refused.
_SIGNED = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Twilio:
    """A vendor: see site.py for what that is."""

    name = kinds.TWILIO
    refusals = twilio_errors.OF_FAULTS
    broken_json = (202, b'{"total_submitted":1,"billable_items":[{"sid":"BI')

    def __init__(self, options, clock, file):
        self.charges = Charges(file)
        self._clock = clock
        self._rate = RateLimit(clock, options.rate_per_minute)
        self._account = options.account
        self._token = options.token
        self._items_max = options.items_max
        self._digits_max = options.digits_max

    def meets(self, kind, request):
        return kind not in misreports.KINDS or bool(_V1.fullmatch(request.path))

    def handle(self, request, kind=None):
        try:
            wait = self._rate.take()
            if wait is not None:
                raise twilio_errors.throttled(wait)
            self._authenticate(request)
            return self._route(request, kind)
        except TwilioError as error:
            return error.response()
        except ApiError as error:  # of a form
            return TwilioError(error.status, twilio_errors.INVALID, error.message).response()

    def restore(self, entry):
        self.charges.restore(entry)

    def report(self):
        return self.charges.report()

    def _authenticate(self, request):
        """The account's sid or an API key's as user, its token or secret as password."""
        user, password = auth.basic(request) or (b"", b"")
        right_user = hmac.compare_digest(user, self._account.encode())
        if not hmac.compare_digest(password, self._token.encode()) or not right_user:
            raise twilio_errors.unauthorised()

    def _route(self, request, kind):
        v1, preview = _V1.fullmatch(request.path), _PREVIEW.fullmatch(request.path)
        if not v1 and not preview:
            raise twilio_errors.not_found(request.path)
        if request.method != "POST":
            raise twilio_errors.method_not_allowed()
        return self._report_items(request, v1[1], kind) if v1 else self._report_quantity(request, preview[1])

    def _report_items(self, request, installation, kind):
        items = billable_items.parse(request, self._items_max, self._digits_max)
        submitted = misreports.submitted(kind, len(items))
        rows = [(sid, quantity, good) for (sid, quantity), good in zip(items, submitted)]
        charges = self._charge("v1", installation, [item for item, good in zip(items, submitted) if good])
        body, spared = misreports.answer(kind, rows)
        headers = (("Content-Type", JSON_TYPE),)
        return Response(202, headers, body, applied=bool(charges), charges=charges, spared=spared)

    def _report_quantity(self, request, installation):
        form = params.parse_form(request)
        params.only(form, {"Quantity"})
        quantity = params.text(form, "Quantity", billable_items.QUANTITY_LENGTH_MAX, required=True)
        if not _SIGNED.fullmatch(quantity) or decimal.Decimal(quantity) == 0:
            raise invalid("Quantity must be a number greater than or less than zero")
        charges = self._charge("preview", installation, [(None, quantity)])
        headers = (("Content-Type", "text/plain;charset=utf-8"),)
        return Response(202, headers, b"202 Accepted", applied=True, charges=charges)

    def _charge(self, api, installation, items):
        """Charges all of them at once; what the ledger now says of them."""
        time = int(self._clock.now())
        charges = [
            {"api": api, "installation": installation, "sid": sid, "quantity": quantity, "time": time}
            for sid, quantity in items
        ]
        if charges:
            self.charges.add(charges)
        return charges
