"""The rate limit of a vendor."""

_WINDOW_SECONDS = 60


class RateLimit:
    """N requests a minute, counted from the first request of each minute; None: no limit."""

    def __init__(self, clock, per_minute):
        self._clock = clock
        self._per_minute = per_minute
        self._since = 0.0
        self._used = 0

    def take(self):
        """None, or the seconds to wait where the request is one too many."""
        if self._per_minute is None:
            return None
        now = self._clock.now()
        if now - self._since >= _WINDOW_SECONDS:
            self._since, self._used = now, 0
        if self._used >= self._per_minute:
            return int(self._since + _WINDOW_SECONDS - now) + 1
        self._used += 1
        return None
