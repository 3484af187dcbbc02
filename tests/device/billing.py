"""An emulated machine that bills to the sandbox on the host."""

from collections import Counter

import load
import verdict
from harness import KEY, Failed, wait_until
from image import BILLING

DRAIN_SECONDS = 400
CONFIG = """[device]
id = "gw-emulated"
[clock]
trust = "always"
[[upstream]]
name = "billing"
kind = "chargebee"
url = "http://127.0.0.1:%d/api/v2"
key = { file = "/etc/meterd/billing-key" }
seal = "%s"
[[meter]]
event = "%s"
item_price = "%s"
"""


def configure(machine, seal):
    """From now on, with a journal that is new."""
    machine.write("/etc/meterd/billing-key", KEY + "\n")
    machine.write("/etc/meterd/meterd.toml", CONFIG % (BILLING, seal, load.EVENT, load.ITEM_PRICE))
    machine.run("sh", "-ec", "chown meterd: /etc/meterd/billing-key; chmod 0600 /etc/meterd/billing-key; systemctl stop meterd; "
                             "rm -r /var/lib/meterd/*; systemctl start meterd; sync")


def settle(machine, sandbox, expected):
    """Delivers everything. What was billed must be what is expected, by subscription, and each usage once. The ledger."""
    machine.run("meterctl", "flush", "--now")
    wait_until("everything is delivered", lambda: _delivered(machine), DRAIN_SECONDS, every=1)
    ledger = sandbox.ledger()
    billed = verdict.billed_totals(ledger)
    sums = Counter()
    for (subscription, _, _), quantity in billed.items():
        sums[subscription] += quantity
    problems = verdict.compare_balances(load.balances(machine), billed) + verdict.created_twice(sandbox.created_ids())
    if sums != expected or problems:
        raise Failed(f"acknowledged {expected}, billed { {name: int(value) for name, value in sums.items()} }; {problems}")
    return ledger


def _delivered(machine):
    machine.run("meterctl", "flush")
    return not any(load.ask(machine, "GET", f"/operator/{what}")[1][what] for what in ("buckets", "outbox"))
