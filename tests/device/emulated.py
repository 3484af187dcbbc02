"""The checks on an emulated ARM machine: a table of what the package needs there, power cuts, and a soak."""

import contextlib
import pathlib

import billing
import image
import power_cuts
import soak as soaking
from footprint import Footprint
from frames import compile_messages
from harness import Failed, Sandbox
from vm import VirtualMachine

SANDBOX = pathlib.Path(__file__).resolve().parent.parent / "sandbox" / "billing_sandbox"


@contextlib.contextmanager
def powered(kind, options, directory):
    """(the machine, switched off; the billing system that it reaches)"""
    root, kernel, initrd = image.prepare(kind, options.cache, options.package, directory)
    sandbox = Sandbox(SANDBOX, directory)
    machine = None
    try:
        image.make_disk(root, options.package, directory, directory / "disk", sandbox.port)
        machine = VirtualMachine(kind, kernel, initrd, directory / "disk", directory)
        yield machine, sandbox
    finally:
        if machine:
            machine.close()
        sandbox.stop()


@contextlib.contextmanager
def checks(architecture, options, directory):
    """([(name, check)], the machine): in this order, each leaves it running."""
    print(f"seed {options.seed}", flush=True)
    with powered(image.KINDS[architecture], options, directory) as (machine, sandbox):
        messages = compile_messages(directory)
        footprint = Footprint(machine, options.package, messages)
        yield [
            ("boots; the service is started by itself, and counts", lambda: started(machine)),
            ("what it needs", lambda: footprint.measure(options.cache / f"footprint-{architecture}.json")),
            ("power cuts under load: nothing acknowledged is lost, all of it billed once",
             lambda: cut(machine, sandbox, messages, options)),
            ("what the disk was not asked to flush is gone (control)", lambda: not_flushed(machine)),
            ("a disk that only says that it flushed: the loss is found (control)",
             lambda: control(machine, sandbox, messages, options.seed)),
        ], machine


def started(machine):
    took = machine.boot()
    return f"ready {machine.ready_ms():.0f} ms after its start, {took:.1f} s after power-on (emulated)"


def cut(machine, sandbox, messages, options):
    cuts = power_cuts.PowerCuts("cut", machine, sandbox, messages, options.seed)
    try:
        billing.configure(machine, seal="5s")
        cuts.run(options.cuts)
        cuts.stop()
        events, usages, requests = cuts.billed()
    finally:
        cuts.abandon()
    return (f"{cuts.under_load} cuts under load, {cuts.at_boot} while it booted; {events} events acknowledged, {cuts.duplicates()} "
            f"repeated and known, {usages} usages in {requests} requests; of {cuts.not_flushed} sectors that were not flushed "
            f"{cuts.survived} survived; ready {min(cuts.ready):.0f} to {max(cuts.ready):.0f} ms after its start, {min(cuts.boots):.0f} to {max(cuts.boots):.0f} s after power-on")


def not_flushed(machine):
    """A block is written past the page cache: it is on the disk, whose cache is volatile."""
    read = "dd if=/root/block bs=4096 iflag=direct status=none | tr -d ' '"
    seen = machine.run("sh", "-ec", "systemctl stop meterd 2>/dev/null; printf %4096s old >/root/block; sync; printf %4096s new | "
                       f"dd of=/root/block bs=4096 iflag=fullblock oflag=direct conv=notrunc status=none; {read}").stdout
    machine.cut()
    machine.boot()
    after = machine.run("sh", "-c", read).stdout
    if (seen, after) != ("new", "old"):
        raise Failed(f"the disk had {seen!r}, and after the cut {after!r}")
    return "a block that was written and could be read is as it was before"


def control(machine, sandbox, messages, seed):
    machine.run("sync")
    machine.cut()
    machine.boot(lies=True)
    cuts = power_cuts.PowerCuts("control", machine, sandbox, messages, seed, lies=True)
    try:
        cuts.run(1)
    except power_cuts.Lost as lost:
        return str(lost)
    finally:
        cuts.abandon()
    raise Failed("a disk that loses what was flushed was not found out")


@contextlib.contextmanager
def soak(options, directory):
    with powered(image.KINDS["arm64"], options, directory) as (machine, sandbox):
        yield soaking.Soak(machine, sandbox, compile_messages(directory), options.minutes).all(), machine
