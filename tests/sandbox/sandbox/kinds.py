"""The kinds of faults: what each does, and to whose requests."""

import dataclasses

CHARGEBEE = "chargebee"
TWILIO = "twilio"
VENDORS = (CHARGEBEE, TWILIO)

_C, _T, _BOTH, _NONE = (CHARGEBEE,), (TWILIO,), VENDORS, ()


@dataclasses.dataclass(frozen=True)
class Kind:
    applied: bool  # the request is carried out before the fault shows
    vendors: tuple  # whose requests it can hit
    in_all: tuple  # for whose requests it is part of `all`
    meaning: str


# `all` holds what a client heals by itself that sends at least once, names each usage and reads back when in
# doubt. Not in it, and why:
#   error_400, _404, _405, _409            the usage is refused for good: a client parks it for an operator
#   error_401, _403                        the credentials are refused: a client pauses the whole upstream
#   oversized, oversized_header            an answer beyond every limit may pause the upstream too, and is slow
#   stall_before, stall_after              heal after the client's own timeout: minutes, so only on request
#   usages_api_off, manual_reporting_off   as error_403
# error_429_bare and lock_timeout are in it, although a client waits about a minute after each (no Retry-After).
# For Twilio, which has neither names nor reading back, `all` holds the same, and so what leaves a client in doubt.
KINDS = {
    "drop_before": Kind(False, _BOTH, _BOTH, "closed without an answer"),
    "reset_before": Kind(False, _BOTH, _BOTH, "connection reset without an answer"),
    "drop_after": Kind(True, _BOTH, _BOTH, "applied, then closed without an answer"),
    "reset_after": Kind(True, _BOTH, _BOTH, "applied, then connection reset without an answer"),
    "stall_before": Kind(False, _BOTH, _NONE, "never answers: held until the client leaves or 60 s"),
    "stall_after": Kind(True, _BOTH, _NONE, "applied, then never answers"),
    "delay": Kind(True, _BOTH, _BOTH, "applied, answered after delay_seconds"),
    "slow": Kind(True, _BOTH, _BOTH, "applied, answered byte by byte over delay_seconds"),
    "truncate": Kind(True, _BOTH, _BOTH, "applied, the answer ends in the middle of its body"),
    "garbage": Kind(True, _BOTH, _BOTH, "applied, answered with bytes that are not HTTP"),
    "garbage_json": Kind(True, _BOTH, _BOTH, "applied, a good status with broken JSON"),
    "oversized": Kind(True, _BOTH, _NONE, "applied, a good status with a body of up to 64 MiB"),
    "oversized_header": Kind(True, _BOTH, _NONE, "applied, a good status with a header of 1 MiB"),
    "error_400": Kind(False, _BOTH, _NONE, "a parameter is refused"),
    "error_401": Kind(False, _BOTH, _NONE, "the credentials are refused"),
    "error_403": Kind(False, _BOTH, _NONE, "the credentials may not do this"),
    "usages_api_off": Kind(False, _C, _NONE, "400, as where Metered Billing or the Usages API is not turned on"),
    "error_404": Kind(False, _BOTH, _NONE, "no such subscription or installation"),
    "error_405": Kind(False, _BOTH, _NONE, "the method is refused"),
    "error_409": Kind(False, _C, _NONE, "invalid_state_for_request"),
    "error_422": Kind(False, _C, _C, "unable_to_process_request, as for a reused key"),
    "error_429": Kind(False, _BOTH, _BOTH, "Retry-After: retry_after"),
    "error_429_date": Kind(False, _BOTH, _BOTH, "Retry-After: an HTTP-date, retry_after seconds ahead"),
    "error_429_bare": Kind(False, _BOTH, _BOTH, "no Retry-After"),
    "lock_timeout": Kind(False, _C, _C, "429 lock_timeout"),
    "error_500": Kind(False, _BOTH, _BOTH, "internal error"),
    "error_500_after": Kind(True, _BOTH, _BOTH, "applied, then internal error; the idempotency key is not kept"),
    "error_503": Kind(False, _BOTH, _BOTH, "temporarily unavailable"),
    "error_503_maintenance": Kind(False, _C, _C, "site_read_only_mode"),
    "error_502_html": Kind(False, _BOTH, _BOTH, "a proxy's page"),
    "captive_portal": Kind(False, _BOTH, _BOTH, "200 with a login page"),
    "captive_redirect": Kind(False, _BOTH, _BOTH, "302 to a login page"),
    "duplicate_late": Kind(True, _C, _C, "a create is applied and answered duplicate_entry; the key is not kept"),
    "partial": Kind(True, _T, _T, "V1: every other item, from the first on, is not charged and submitted: false"),
    "wrong_total": Kind(True, _T, _T, "V1: applied, total_submitted is 1 % more than the sum"),
    "float_total": Kind(True, _T, _T, "V1: applied, total_submitted as floating numbers add up: 0.30000000000000004"),
    "fewer_items": Kind(True, _T, _T, "V1: applied, the last item is missing in the answer, and in its total"),
    "shuffled": Kind(True, _T, _T, "V1: applied, the first item comes last in the answer"),
    "wrong_type": Kind(True, _T, _T, "applied, 202 with a page of HTML"),
    "manual_reporting_off": Kind(False, _T, _NONE, "403, as where Twilio has not turned manual usage reporting on"),
}

# Applied, but the failure came before the answer was remembered under its key: a retry meets its own usage.
FORGETFUL = frozenset({"error_500_after", "duplicate_late"})

# These show only in the answer to a request that was accepted. One that was refused or replayed keeps its own.
IN_SUCCESSES = frozenset({"duplicate_late", "partial", "wrong_total", "float_total", "fewer_items", "shuffled"})


def all_of(vendor):
    return tuple(name for name, kind in KINDS.items() if vendor in kind.in_all)
