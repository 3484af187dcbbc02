#!/usr/bin/python3
"""The package on a booted Debian 12: what is checked in one of these, one table at the end. The exit code is 0 only if
every check passed. As root.

    container   systemd in a container: started, hung, killed, stopped, upgraded under load, rebooted, removed; its sandbox
    arm64       an emulated ARM machine: what it needs there, and power cuts under load
    armhf       the same with 32 bits
    soak        the machine with 64 bits, for long at 1,000 events a second under a memory limit

    device.py PART --package FILE --cache DIRECTORY [--keep] [--seed N] [--cuts N] [--minutes N]
"""

import argparse
import functools
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(TESTS / "e2e"), str(TESTS / "package")]
import container  # noqa: E402
import emulated  # noqa: E402
from harness import Failed  # noqa: E402

PARTS = {
    "container": container.checks,
    "arm64": functools.partial(emulated.checks, "arm64"),
    "armhf": functools.partial(emulated.checks, "armhf"),
    "soak": emulated.soak,
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--package", required=True, type=pathlib.Path, help="meterd's .deb for that machine")
    parser.add_argument("--cache", required=True, type=pathlib.Path, help="where roots are kept")
    parser.add_argument("--keep", action="store_true", help="keep the device's directory")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of the power cuts")
    parser.add_argument("--cuts", type=int, default=12, help="of the power, under load; some more while it boots")
    parser.add_argument("--minutes", type=int, default=60, help="of the soak")
    return parser.parse_args()


def perform(check):
    """(ok, what it saw or why not)"""
    try:
        return True, check()
    except (Failed, AssertionError) as failure:
        return False, str(failure)
    except Exception:  # a check that breaks is one that fails, and the others go on
        return False, traceback.format_exc()


def perform_all(every):
    rows = []
    for name, check in every:
        began = time.monotonic()
        ok, seen = perform(check)
        rows.append((ok, name, time.monotonic() - began, seen))
        print(f"{'ok    ' if ok else 'FAILED'} {name}: {seen}", flush=True)
    return rows


def print_table(rows):
    width = max(len(name) for _, name, _, _ in rows)
    print("\n| check" + " " * (width - 5) + " |        |     s | seen")
    for ok, name, seconds, seen in rows:
        print(f"| {name:{width}} | {'ok    ' if ok else 'FAILED'} | {seconds:5.1f} | {seen.strip().splitlines()[-1]}")


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it has started and made goes with it
    options.package = options.package.resolve()
    options.cache = options.cache.resolve()
    options.cache.mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=options.cache))
    try:
        with PARTS[options.part](options, directory) as (every, machine):
            rows = perform_all(every)
            if not all(row[0] for row in rows):
                print(machine.tail())
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    print_table(rows)
    return 0 if all(row[0] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
