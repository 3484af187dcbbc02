"""What a person does to usages at the vendor's console, and what its billing does: not by the API, behind its clients.

Whether the console refuses to change an invoiced usage is undocumented: here nothing is refused, so that a test can
bring about any state.
"""

from . import params, usages
from .errors import not_found


class Console:
    def __init__(self, ledger, clock):
        self._ledger = ledger
        self._clock = clock

    def invoice(self, values):
        """Puts a usage on an invoice. An empty one takes it off, as when an invoice is voided or deleted."""
        params.only(values, {"usage", "invoice", "line_item"})
        usage = self._usage(values)
        for name in ("invoice_id", "line_item_id"):
            usage.pop(name, None)
        if values.get("invoice") != "":
            usage["invoice_id"] = params.text(values, "invoice", usages.ID_MAX, required=True)
            if "line_item" in values:
                usage["line_item_id"] = params.text(values, "line_item", usages.ID_MAX)
        return self._changed(usage)

    def alter(self, values):
        params.only(values, {"usage", "quantity"})
        usage = self._usage(values)
        usage["quantity"] = params.quantity(values)
        return self._changed(usage)

    def forget(self, values):
        params.only(values, {"usage"})
        return {"usage": self._ledger.forget(self._usage(values)["id"])}

    def _usage(self, values):
        """A copy of the usage that is named, whatever its subscription: an id is unique on the site."""
        usage_id = params.text(values, "usage", usages.ID_MAX, required=True)
        if usage_id not in self._ledger.usages:
            raise not_found(f"there is no usage {usage_id}")
        return dict(self._ledger.usages[usage_id])

    def _changed(self, usage):
        now = self._clock.now()
        usage["updated_at"] = int(now)
        usage["resource_version"] = max(usage["resource_version"] + 1, int(now * 1000))
        self._ledger.amend(usage)
        return {"usage": usage}
