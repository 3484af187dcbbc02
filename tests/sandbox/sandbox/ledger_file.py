"""The file that what was charged survives in.

It has one JSON line for each change (`op` says which), flushed before the answer leaves (to the system, not to the
disk: the sandbox survives being killed, not a power cut). Without a path nothing is kept.
"""

import fcntl
import json


class LedgerError(Exception):
    """The ledger file cannot be used; the message says where and why."""


class LedgerFile:
    def __init__(self):
        self._file = None

    def open(self, path, restore):
        """Hands every line that an earlier run wrote to `restore`, then appends."""
        try:
            self._file = open(path, "a+b")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two sandboxes would not know each other's ids
            self._file.seek(0)
            lines = self._file.read().split(b"\n")
        except OSError as error:
            raise LedgerError(f"{path}: {error.strerror}") from None
        if lines.pop():  # a last line without its end was never answered: cut it off
            self._file.truncate(sum(len(line) + 1 for line in lines))
        for number, line in enumerate(lines, 1):
            try:
                restore(json.loads(line))
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                raise LedgerError(f"{path}:{number}: not a line of a sandbox ledger ({error!r})") from None

    def write(self, entry):
        if self._file:
            self._file.write(json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n")
            self._file.flush()

    def close(self):
        if self._file:
            self._file.close()
