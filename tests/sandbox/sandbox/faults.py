"""Which fault hits the next API request or download: a script first, then chance from a seeded generator."""

import collections
import dataclasses
import json
import math
import random


@dataclasses.dataclass(frozen=True)
class Kind:
    applied: bool  # the request is carried out before the fault shows
    in_all: bool  # part of `all`
    meaning: str


# `all` holds what a client heals by itself that sends at least once, names each usage and reads back when in
# doubt. Not in it, and why:
#   error_400, _404, _405, _409            the usage is refused for good: a client parks it for an operator
#   error_401, _403                        the credentials are refused: a client pauses the whole upstream
#   oversized, oversized_header            an answer beyond every limit may pause the upstream too, and is slow
#   stall_before, stall_after              heal after the client's own timeout: minutes, so only on request
# error_429_bare and lock_timeout are in it, although a client waits about a minute after each (no Retry-After).
KINDS = {
    "drop_before": Kind(False, True, "closed without an answer"),
    "reset_before": Kind(False, True, "connection reset without an answer"),
    "drop_after": Kind(True, True, "applied, then closed without an answer"),
    "reset_after": Kind(True, True, "applied, then connection reset without an answer"),
    "stall_before": Kind(False, False, "never answers: held until the client leaves or 60 s"),
    "stall_after": Kind(True, False, "applied, then never answers"),
    "delay": Kind(True, True, "applied, answered after delay_seconds"),
    "slow": Kind(True, True, "applied, answered byte by byte over delay_seconds"),
    "truncate": Kind(True, True, "applied, the answer ends in the middle of its body"),
    "garbage": Kind(True, True, "applied, answered with bytes that are not HTTP"),
    "garbage_json": Kind(True, True, "applied, 200 with broken JSON"),
    "oversized": Kind(True, False, "applied, 200 with a body of up to 64 MiB"),
    "oversized_header": Kind(True, False, "applied, 200 with a header of 1 MiB"),
    "error_400": Kind(False, False, "param_wrong_value"),
    "error_401": Kind(False, False, "api_authentication_failed"),
    "error_403": Kind(False, False, "api_authorization_failed"),
    "error_404": Kind(False, False, "resource_not_found"),
    "error_405": Kind(False, False, "http_method_not_supported"),
    "error_409": Kind(False, False, "invalid_state_for_request"),
    "error_422": Kind(False, True, "unable_to_process_request, as for a reused key"),
    "error_429": Kind(False, True, "Retry-After: retry_after"),
    "error_429_date": Kind(False, True, "Retry-After: an HTTP-date, retry_after seconds ahead"),
    "error_429_bare": Kind(False, True, "no Retry-After"),
    "lock_timeout": Kind(False, True, "429 lock_timeout"),
    "error_500": Kind(False, True, "internal_error"),
    "error_500_after": Kind(True, True, "applied, then internal_error; the idempotency key is not kept"),
    "error_503": Kind(False, True, "internal_temporary_error"),
    "error_503_maintenance": Kind(False, True, "site_read_only_mode"),
    "error_502_html": Kind(False, True, "a proxy's page"),
    "captive_portal": Kind(False, True, "200 with a login page"),
    "captive_redirect": Kind(False, True, "302 to a login page"),
    "duplicate_late": Kind(True, True, "a create is applied and answered duplicate_entry; the key is not kept"),
}
ALL = tuple(name for name, kind in KINDS.items() if kind.in_all)

# Applied, but the failure came before the answer was remembered under its key: a retry meets its own usage.
FORGETFUL = frozenset({"error_500_after", "duplicate_late"})

_KEYS = {"rate", "kinds", "script", "retry_after", "delay_seconds", "seed"}
_DELAY_SECONDS_MAX = 60


class SpecError(ValueError):
    """A fault spec that makes no sense; the message says why."""


@dataclasses.dataclass
class Spec:
    rates: dict = dataclasses.field(default_factory=dict)  # kind -> probability; their sum is at most 1
    script: list = dataclasses.field(default_factory=list)  # kinds and "ok", one for each request
    retry_after: str = "2"
    delay_seconds: float = 0.2
    seed: int | None = None  # restarts the generator


def parse(text):
    """A spec from the command line or a request: JSON, or a list like `all:0.3,reset_after:0.1,-error_429_bare`."""
    if not text.lstrip().startswith("{"):
        return Spec(rates=_rates_of_list(text))
    try:
        given = json.loads(text)
    except ValueError as error:
        raise SpecError(f"the spec is not JSON: {error}") from None
    unknown = given.keys() - _KEYS
    if unknown:
        raise SpecError(f"unknown keys {sorted(unknown)}; known are {sorted(_KEYS)}")
    spec = Spec(script=given.get("script", []), seed=given.get("seed"))
    if not isinstance(spec.script, list) or not all(name == "ok" or name in KINDS for name in spec.script):
        raise SpecError('script must be a list of kinds and "ok"')
    if spec.seed is not None and type(spec.seed) is not int:
        raise SpecError("seed must be a whole number")
    rate = _number(given.get("rate", 0), "rate", 1)
    kinds = given.get("kinds", ["all"])
    if not isinstance(kinds, list) or not all(isinstance(name, str) for name in kinds):
        raise SpecError("kinds must be a list of names")
    names = _expand(kinds)
    if rate and not names:
        raise SpecError("kinds leaves nothing to choose from")
    spec.rates = {name: rate / len(names) for name in names} if rate else {}
    spec.retry_after = str(given.get("retry_after", spec.retry_after))
    if not spec.retry_after.isprintable() or not spec.retry_after.isascii():
        raise SpecError("retry_after must be printable: it becomes a header")
    spec.delay_seconds = _number(given.get("delay_seconds", spec.delay_seconds), "delay_seconds", _DELAY_SECONDS_MAX)
    return spec


def _rates_of_list(text):
    rates = collections.Counter()
    removed = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, rate = part.partition(":")
        if name.startswith("-"):
            removed.update(_expand([name[1:]]))
            continue
        names = _expand([name])
        for each in names:
            rates[each] += _number(rate if colon else 1, part, 1) / len(names)
    if sum(rates.values()) > 1 + 1e-9:
        raise SpecError("the rates sum up to more than 1")
    return {name: rate for name, rate in rates.items() if name not in removed}


def _expand(names):
    """Kinds by name: `all` is many, `-kind` takes one away."""
    chosen = []
    for name in names:
        wanted = ALL if name.lstrip("-") == "all" else (name.lstrip("-"),)
        if not set(wanted) <= KINDS.keys():
            raise SpecError(f"unknown kind {name!r}; known are all, {', '.join(KINDS)}")
        if name.startswith("-"):
            chosen = [kind for kind in chosen if kind not in wanted]
        else:
            chosen += [kind for kind in wanted if kind not in chosen]
    return chosen


def _number(value, name, largest):
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= largest:
        raise SpecError(f"{name} must be a number from 0 to {largest}")
    return number


class Plan:
    """Deals the faults out. The same seed and the same order of requests give the same faults."""

    def __init__(self, seed):
        self.seed = seed
        self.spec = Spec()
        self.counts = collections.Counter()  # kinds that took effect, since the start
        self._random = random.Random(seed)
        self._script = collections.deque()

    def set(self, spec):
        self.spec = spec
        self._script = collections.deque(spec.script)
        if spec.seed is not None:
            self.seed = spec.seed
            self._random = random.Random(spec.seed)

    def next(self):
        """The kind for the next API request, None for none."""
        if self._script:
            name = self._script.popleft()
            return None if name == "ok" else name
        if not self.spec.rates:
            return None
        point = self._random.random()
        for name, rate in self.spec.rates.items():
            point -= rate
            if point < 0:
                return name
        return None

    def report(self):
        return {
            "seed": self.seed,
            "rates": self.spec.rates,
            "script_left": list(self._script),
            "retry_after": self.spec.retry_after,
            "delay_seconds": self.spec.delay_seconds,
            "counts": dict(self.counts),
        }
