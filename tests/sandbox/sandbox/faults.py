"""Which fault hits the next API request or download: a script first, then chance from a seeded generator."""

import collections
import dataclasses
import json
import math
import random

from . import kinds
from .kinds import CHARGEBEE, KINDS, TWILIO

ALL = kinds.all_of(CHARGEBEE)

_KEYS = {"rate", "kinds", "script", "retry_after", "delay_seconds", "seed"}
_DELAY_SECONDS_MAX = 60


class SpecError(ValueError):
    """A fault spec that makes no sense; the message says why."""


@dataclasses.dataclass
class Spec:
    # Kind -> probability; their sum is at most 1. Each vendor's requests have rates of their own: `all` is not the same
    # for each.
    rates: dict = dataclasses.field(default_factory=dict)  # for Chargebee's
    twilio_rates: dict = dataclasses.field(default_factory=dict)
    script: list = dataclasses.field(default_factory=list)  # kinds and "ok", one for each request
    retry_after: str = "2"
    delay_seconds: float = 0.2
    seed: int | None = None  # restarts the generator

    def rates_of(self, vendor):
        return self.twilio_rates if vendor == TWILIO else self.rates


def parse(text):
    """A spec from the command line or a request: JSON, or a list like `all:0.3,reset_after:0.1,-error_429_bare`."""
    if not text.lstrip().startswith("{"):
        return Spec(_rates_of_list(text, CHARGEBEE), _rates_of_list(text, TWILIO))
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
    names = given.get("kinds", ["all"])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SpecError("kinds must be a list of names")
    spec.rates, spec.twilio_rates = (_spread(rate, _expand(names, vendor)) for vendor in (CHARGEBEE, TWILIO))
    if rate and not spec.rates and not spec.twilio_rates:
        raise SpecError("kinds leaves nothing to choose from")
    spec.retry_after = str(given.get("retry_after", spec.retry_after))
    if not spec.retry_after.isprintable() or not spec.retry_after.isascii():
        raise SpecError("retry_after must be printable: it becomes a header")
    spec.delay_seconds = _number(given.get("delay_seconds", spec.delay_seconds), "delay_seconds", _DELAY_SECONDS_MAX)
    return spec


def _spread(rate, names):
    return {name: rate / len(names) for name in names} if rate else {}


def _rates_of_list(text, vendor):
    rates = collections.Counter()
    removed = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, rate = part.partition(":")
        if name.startswith("-"):
            removed.update(_expand([name[1:]], vendor))
            continue
        for each, part_of_rate in _spread(_number(rate if colon else 1, part, 1), _expand([name], vendor)).items():
            rates[each] += part_of_rate
    if sum(rates.values()) > 1 + 1e-9:
        raise SpecError("the rates sum up to more than 1")
    return {name: rate for name, rate in rates.items() if name not in removed}


def _expand(names, vendor):
    """The vendor's kinds by name: `all` is many, `-kind` takes one away."""
    chosen = []
    for name in names:
        wanted = kinds.all_of(vendor) if name.lstrip("-") == "all" else (name.lstrip("-"),)
        if not set(wanted) <= KINDS.keys():
            raise SpecError(f"unknown kind {name!r}; known are all, {', '.join(KINDS)}")
        if name.startswith("-"):
            chosen = [kind for kind in chosen if kind not in wanted]
        else:
            chosen += [kind for kind in wanted if kind not in chosen and vendor in KINDS[kind].vendors]
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

    def next(self, vendor=CHARGEBEE):
        """The kind for the next API request, None for none. A script's may be one that the vendor does not have."""
        if self._script:
            name = self._script.popleft()
            return None if name == "ok" else name
        rates = self.spec.rates_of(vendor)
        if not rates:
            return None
        point = self._random.random()
        for name, rate in rates.items():
            point -= rate
            if point < 0:
                return name
        return None

    def report(self):
        return {
            "seed": self.seed,
            "rates": self.spec.rates,
            "twilio_rates": self.spec.twilio_rates,
            "script_left": list(self._script),
            "retry_after": self.spec.retry_after,
            "delay_seconds": self.spec.delay_seconds,
            "counts": dict(self.counts),
        }
