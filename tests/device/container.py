"""The checks in a container."""

import contextlib
import time

import roots
import sandbox
from checks import Checks
from machine import Machine


@contextlib.contextmanager
def checks(options, directory):
    """([(name, check)], the machine), while it is booted."""
    machine = Machine(roots.system(options.cache, options.package), directory)
    every = Checks(machine, options.package, directory).all()
    every.insert(-1, ("the sandbox is in force", lambda: sandbox.check(machine)))
    try:
        began = time.monotonic()
        machine.boot()
        print(f"booted in {time.monotonic() - began:.1f} s", flush=True)
        yield every, machine
    finally:
        machine.close()
