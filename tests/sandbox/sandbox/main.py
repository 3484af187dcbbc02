"""Start and stop. Exit codes: 0 after SIGTERM or SIGINT, 2 when it cannot start."""

import asyncio
import random
import signal
import ssl
import sys

from . import faults, options
from .clock import Clock
from .ledger_file import LedgerError
from .server import Server
from .site import Site


def main(arguments=None):
    chosen = options.parse(arguments)
    seed = random.SystemRandom().randrange(2**32) if chosen.seed is None else chosen.seed
    clock = Clock()
    plan = faults.Plan(seed)
    try:
        plan.set(faults.parse(chosen.faults))
        site = Site(chosen, clock)
        tls = _tls(chosen)
    except (faults.SpecError, LedgerError, OSError) as error:
        return _fail(error)
    print(f"faults are dealt from --seed {plan.seed}", file=sys.stderr, flush=True)
    return asyncio.run(_run(chosen.listen, tls, Server(site, plan, clock), site))


async def _run(listen, tls, server, site):
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        address = await server.start(listen, tls)
    except (OSError, OverflowError) as error:
        return _fail(f"cannot listen on {listen}: {error}")
    print(f"listening on {address}", flush=True)
    await stop.wait()
    await server.stop()
    site.close()
    return 0


def _tls(chosen):
    if not chosen.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chosen.tls_cert, chosen.tls_key)
    return context


def _fail(reason):
    print(f"billing_sandbox: {reason}", file=sys.stderr)
    return 2
