#!/usr/bin/env python3
"""Measures meterd beside the least that the same work can cost, in one run, and prints one table.

    bench.py --bin BUILD/bin [--agent DIR] [--quick] [--strict] [--json FILE] [--keep] [NAME...]

Timings drift with the machine's neighbours: compare the ratios, whose two sides take turns. README.md has the method.
"""

import argparse
import contextlib
import importlib
import json
import os
import pathlib
import signal
import socket
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import table  # noqa: E402

NICENESS = -10  # of everything that is measured, where root may: what else runs here is to matter less
# Each name is a module rows_NAME with rows(bench), which yields the rows.
NAMES = ["statsd", "frames", "http", "udp", "flash", "memory", "history", "usages", "flush", "counters"]


class Bench:
    """What the rows share: where the programs are, where to work, and how much."""

    def __init__(self, programs, directory, quick, agent=None):
        self.directory = pathlib.Path(directory)
        self.quick = quick
        self._programs = pathlib.Path(programs).resolve()
        self._agent = pathlib.Path(agent).resolve() if agent else self._programs
        self._shared = {}
        self._ends = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self._ends.close()

    def program(self, name):
        return (self._agent if name in ("meterd", "meterctl") else self._programs) / name

    def pick(self, quick, full):
        return quick if self.quick else full

    def shared(self, name, make):
        """What several rows use and only the first one makes."""
        if name not in self._shared:
            self._shared[name] = make()
        return self._shared[name]

    def at_end(self, stop):
        self._ends.callback(stop)


def measure_all(bench, names):
    """(rows, whether every part could be measured)."""
    rows, whole = [], True
    for name in names:
        began = time.monotonic()
        try:
            for row in importlib.import_module(f"rows_{name}").rows(bench):
                rows.append(row)
                print(f"  {' | '.join(row.cells())}", file=sys.stderr, flush=True)
        except Exception:
            whole = False
            print(f"{name}: not measured to its end\n{traceback.format_exc()}", file=sys.stderr)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows, whole


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="where meterd and the bench programs were built")
    parser.add_argument("--agent", metavar="DIR", help="measure the meterd of another build, from here")
    parser.add_argument("--quick", action="store_true", help="shorter and smaller: under 3 minutes")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a bound is not kept")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    parser.add_argument("--keep", action="store_true", help="keep the working directory")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return arguments


def alone():
    """Holds a name that only one process can have: two benches at once would measure each other."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind("\0meterd-bench")
    except OSError:
        sys.exit("bench.py: another bench is running; wait for its end")
    return name


def main():
    arguments = parse_arguments()
    held = alone()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an exception, so that all is stopped and put back
    with contextlib.suppress(PermissionError):
        os.nice(NICENESS)
    chosen = [name for name in NAMES if not arguments.names or name in arguments.names]
    with tempfile.TemporaryDirectory(prefix="meterd-bench-", ignore_cleanup_errors=True) as directory:
        with Bench(arguments.bin, directory, arguments.quick, arguments.agent) as bench:
            rows, whole = measure_all(bench, chosen)
        if arguments.keep:
            print(f"kept: {pathlib.Path(directory).rename(directory + '-kept')}", file=sys.stderr)
    held.close()
    print(table.markdown(rows))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")
    if not whole:
        return 1
    return 1 if arguments.strict and any(row.within is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
