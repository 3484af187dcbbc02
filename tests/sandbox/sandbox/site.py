"""The vendors behind one address, and what they share: the clock and the file of the ledger.

A vendor has
    name                        which of kinds.VENDORS it is
    handle(request, kind)       the answer; `kind` is the fault that the request is carried out under, or None
    meets(kind, request)        whether the fault can hit this request at all
    refusals, broken_json       what the canned faults answer in its shape: kind -> error; (status, body)
    restore(entry)              a line of the ledger's file
    report()                    its members of GET /_sandbox/ledger
"""

from .chargebee import Chargebee
from .ledger_file import LedgerFile
from .twilio import PREFIXES, Twilio


class Site:
    def __init__(self, options, clock):
        self._clock = clock
        self._file = LedgerFile()
        self.chargebee = Chargebee(options, clock, self._file)
        self.twilio = Twilio(options, clock, self._file)
        self._vendors = (self.chargebee, self.twilio)
        if options.ledger:
            self._file.open(options.ledger, self._restore)

    def vendor(self, request):
        return self.twilio if request.path.startswith(PREFIXES) else self.chargebee

    def advance(self, seconds):
        self._clock.advance(seconds)
        self._file.write({"op": "advance", "seconds": seconds})

    def report(self):
        return {name: value for vendor in self._vendors for name, value in vendor.report().items()}

    def close(self):
        self._file.close()

    def _restore(self, entry):
        if entry["op"] == "advance":
            self._clock.advance(entry["seconds"])
        for vendor in self._vendors:
            vendor.restore(entry)
