"""Create, retrieve and delete a usage: validation by the vendor's documentation, then the ledger."""

from . import params
from .errors import ApiError, duplicate, not_found

ID_MAX = 100
NOTE_MAX = 500
_CREATE = {"id", "item_price_id", "quantity", "usage_date", "note"}


def create(ledger, clock, subscription, form):
    """The usage to record. Raises the refusal; changes nothing."""
    params.only(form, _CREATE)
    now = clock.now()
    usage = {
        "created_at": int(now),
        "id": params.text(form, "id", ID_MAX) or ledger.free_id(),
        "item_price_id": params.text(form, "item_price_id", ID_MAX, required=True),
        "note": params.text(form, "note", NOTE_MAX),
        "object": "usage",
        "quantity": params.quantity(form),
        "resource_version": int(now * 1000),
        "subscription_id": subscription,
        "updated_at": int(now),
        "usage_date": params.seconds(form.get("usage_date"), "usage_date"),
    }
    if usage["note"] is None:
        del usage["note"]
    # The order matters to a client that repeats a create: its own usage is told as a duplicate id, never as a
    # date taken by somebody else or as a limit.
    if ledger.id_taken(usage["id"]):
        raise duplicate("id", f"The value {usage['id']} is already present")
    if ledger.date_taken(usage):
        raise duplicate("usage_date", "A usage of this item price is already recorded for this usage_date")
    if ledger.limit_reached(subscription):
        raise ApiError(400, "resource_limit_exhausted", "The subscription's lifetime limit of usages is reached")
    return usage


def find(ledger, subscription, values):
    """The usage that retrieve and delete name by `id`; under another subscription it does not exist."""
    params.only(values, {"id"})
    usage_id = params.text(values, "id", ID_MAX, required=True)
    usage = ledger.usages.get(usage_id)
    if usage is None or usage["subscription_id"] != subscription:
        raise not_found(f"{usage_id} not found")
    return usage


def find_deletable(ledger, subscription, values):
    usage = find(ledger, subscription, values)
    if "invoice_id" in usage:
        # "cannot be invoked for a usage record that has been invoiced". The code is undocumented: 409 has no other.
        raise ApiError(409, "invalid_state_for_request", f"{usage['id']} has been invoiced")
    return usage
