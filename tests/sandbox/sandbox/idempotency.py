"""The memory of idempotency keys.

The vendor keeps a key for 30 minutes, counted here from the first answer. Only answers of requests that were
carried out are kept: whether the vendor keeps refusals (4xx) is undocumented, and a client must not count on it.
Keys belong to the site; whether the vendor separates them by API key is undocumented too.
"""

import collections

from .errors import ApiError, json_response

KEY_HEADER = "chargebee-idempotency-key"
REPLAYED_HEADER = "chargebee-idempotency-replayed"
KEY_LENGTH_MAX = 100


class IdempotencyMemory:
    def __init__(self, clock, window_seconds):
        self._clock = clock
        self._window = window_seconds
        self._entries = collections.OrderedDict()  # key -> entry, oldest first
        self.replays = 0

    def key_of(self, request):
        """The request's key, None without one."""
        key = request.header(KEY_HEADER)
        if key is not None and not 1 <= len(key) <= KEY_LENGTH_MAX:
            raise ApiError(400, "param_wrong_value", f"{KEY_HEADER} must have 1 to 100 characters", KEY_HEADER)
        return key

    def replay(self, key, fingerprint):
        """The remembered answer, None if the key is new; 422 if the key came with another request."""
        self._forget_old()
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry["fingerprint"] != fingerprint:
            raise ApiError(422, "unable_to_process_request", "The idempotency key was used with another request")
        self.replays += 1
        return json_response(200, entry["answer"], [(REPLAYED_HEADER, "true")], replayed=True)

    def entry(self, key, fingerprint, answer):
        return {"key": key, "fingerprint": fingerprint, "answer": answer, "at": self._clock.now()}

    def remember(self, entry):
        self._entries[entry["key"]] = entry
        self._entries.move_to_end(entry["key"])

    def _forget_old(self):
        horizon = self._clock.now() - self._window
        while self._entries:
            entry = next(iter(self._entries.values()))
            if entry["at"] > horizon:
                break
            self._entries.popitem(last=False)
