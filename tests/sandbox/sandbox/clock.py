"""The sandbox's clock: the system's, plus what a test has advanced it by."""

import email.utils
import time


class Clock:
    def __init__(self):
        self.advanced = 0.0  # seconds, never negative
        self._date = (0, "")

    def now(self):
        """Seconds since 1970 as the sandbox sees them: created_at, the key window and the rate limit."""
        return time.time() + self.advanced

    def advance(self, seconds):
        self.advanced += seconds

    def http_date(self):
        """An HTTP-date of the real clock, not of the advanced one: the client that reads it was not advanced."""
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, email.utils.formatdate(second, usegmt=True))
        return self._date[1]

    def http_dates(self, after_seconds):
        """Now and so many seconds later, from one reading: two would be a second off now and then."""
        second = int(time.time())
        return tuple(email.utils.formatdate(at, usegmt=True) for at in (second, second + after_seconds))
