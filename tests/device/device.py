#!/usr/bin/python3
"""The package on a booted Debian 12 (systemd in a container): started, hung, killed, stopped, upgraded under load, rebooted,
removed; and its sandbox. One table at the end; the exit code is 0 only if every check passed. As root.

    device.py --package FILE --cache DIRECTORY [--keep]
"""

import argparse
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

from machine import Failed, Machine, make_root  # first: it says where the other tests' modules are
from checks import Checks
import sandbox


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", required=True, type=pathlib.Path, help="meterd's .deb for this architecture")
    parser.add_argument("--cache", required=True, type=pathlib.Path, help="where the root is kept")
    parser.add_argument("--keep", action="store_true", help="keep the device's directory")
    return parser.parse_args()


def perform(check):
    """(ok, what it saw or why not)"""
    try:
        return True, check()
    except (Failed, AssertionError) as failure:
        return False, str(failure)
    except Exception:  # a check that breaks is one that fails, and the others go on
        return False, traceback.format_exc()


def print_table(rows):
    width = max(len(name) for _, name, _, _ in rows)
    print("\n| check" + " " * (width - 5) + " |        |     s | seen")
    for ok, name, seconds, seen in rows:
        print(f"| {name:{width}} | {'ok    ' if ok else 'FAILED'} | {seconds:5.1f} | {seen.strip().splitlines()[-1]}")


def main():
    options = parse()
    options.cache.mkdir(parents=True, exist_ok=True)
    root = make_root(options.cache, options.package)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=options.cache))
    machine = Machine(root, directory)
    checks = Checks(machine, options.package.resolve(), directory)
    every = checks.all()
    every.insert(-1, ("the sandbox is in force", lambda: sandbox.check(machine)))
    rows = []
    try:
        began = time.monotonic()
        machine.boot()
        print(f"booted in {time.monotonic() - began:.1f} s", flush=True)
        for name, check in every:
            began = time.monotonic()
            ok, seen = perform(check)
            rows.append((ok, name, time.monotonic() - began, seen))
            print(f"{'ok    ' if ok else 'FAILED'} {name}: {seen}", flush=True)
        if not all(row[0] for row in rows):
            print(machine.run("journalctl", "--unit", "meterd", "--no-pager", "--lines", "60", check=False).stdout)
    finally:
        machine.close()
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    print_table(rows)
    return 0 if len(rows) == len(every) and all(row[0] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
