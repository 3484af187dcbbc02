#!/usr/bin/env python3
"""Runs everything that tries to break the promise, and prints one table of what was survived.

Four campaigns: the simulator's seeds, power cuts at every system call, SIGKILLs of the real programs (with a Chargebee
upstream, with Twilio's two, and while each source counts), and mutants (the agent broken on purpose, which the tests must
notice). Without --minutes: 10,000 seeds, 100,000 cut points, 500, 200 and 200 kills and all mutants; this takes over an hour. With --minutes
each gets its share of the time, and the mutants are left out.

    proof.py --release DIR --dev DIR [--minutes N] [--seed S]
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FULL = {"seeds": 10_000, "points": 100_000, "kills": 500, "Twilio kills": 200, "source kills": 200}
SEEDS_A_TURN = 100
POINTS_A_TURN = 5_000
KILLS_A_MINUTE = {"kills": 40, "Twilio kills": 40, "source kills": 24}  # as measured, on two processors
KILLS_LEAST = 20
SHARE = {"sim": 0.4, "power": 0.2, "kills": 0.18, "Twilio kills": 0.1, "source kills": 0.12}
FIGURES = "charges|usages in doubt|resolved|reloads|calls shown as lost|calls|messages|restarts of apps"  # that a kill test prints


def run(*command):
    """What it printed, and whether it ended well."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout, done.returncode == 0


def rows_of(text):
    """The lines "name   number" of a tool's table, in their order; quantities may have a fraction."""
    found = re.findall(r"^(\S.*?|  \S.*?) {2,}(-?\d+(?:\.\d+)?)$", text, re.MULTILINE)
    return {name.strip(): float(value) if "." in value else int(value) for name, value in found}


class Campaign:
    """A tool that is run in turns, on all processors, until enough was done or the time is over."""

    def __init__(self, name):
        self.name, self.sums, self.findings = name, {}, []

    def add(self, text, well):
        for name, value in rows_of(text).items():
            self.sums[name] = self.sums.get(name, 0) + value
        self.findings += [line for line in text.splitlines() if line.startswith("FAILED") or "replay:" in line]
        if not well and not self.findings:
            self.findings.append(text[-1_000:])

    def repeat(self, commands, enough, deadline):
        """`commands(turn)`: those of one turn, at once."""
        turn = 0
        while not enough(self.sums) and not (deadline and time.monotonic() > deadline and turn):
            running = [subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
                       for command in commands(turn)]
            for process in running:
                text = process.communicate()[0]
                self.add(text, process.returncode == 0)
            turn += 1


def simulate(options, deadline):
    campaign = Campaign("simulator")
    tool, jobs = options.release / "bin/simulate", os.cpu_count()
    campaign.repeat(
        lambda turn: [[tool, "--seeds", SEEDS_A_TURN, "--from", options.seed + (turn * jobs + job) * SEEDS_A_TURN]
                      for job in range(jobs)],
        lambda sums: sums.get("seeds", 0) >= FULL["seeds"], deadline)
    return campaign


def cut_power(options, deadline):
    campaign = Campaign("power cuts")
    tool = options.release / "bin/power_loss"
    campaign.repeat(
        lambda turn: [[tool, "--points", POINTS_A_TURN, "--jobs", os.cpu_count(), "--seed", options.seed + 1_000 * turn]],
        lambda sums: sums.get("cut points", 0) >= FULL["points"], deadline)
    return campaign


def kill(options, minutes, name="kills", test="kill_test.py", more=()):
    campaign = Campaign(name)
    kills = FULL[name] if minutes is None else max(KILLS_LEAST, int(minutes * SHARE[name] * KILLS_A_MINUTE[name]))
    text, well = run("/usr/bin/python3", ROOT / "tests/e2e" / test, "--meterd", options.dev / "bin/meterd",
                     "--meterctl", options.dev / "bin/meterctl", "--sandbox", ROOT / "tests/sandbox/billing_sandbox",
                     "--kills", kills, "--seed", options.seed, *more)
    total = re.search(r"^(\d+) kills: (.*)$", text, re.MULTILINE)
    campaign.sums["kills"] = int(total.group(1)) if total else 0
    campaign.by_kind = total.group(2) if total else ""
    for figure, what in re.findall(rf"\b(\d+) ({FIGURES})\b", text):
        campaign.sums[what] = int(figure)
    if not well:
        campaign.findings.append(text[-3_000:])
    return campaign


def mutate(options):
    campaign = Campaign("mutants")
    text, well = run("/usr/bin/python3", ROOT / "tests/mutants/mutants.py", "--build", options.dev.parent / "mutants")
    noticed, of = re.search(r"^(\d+) of (\d+) mutants noticed$", text, re.MULTILINE).groups()
    campaign.sums = {"mutants": int(of), "mutants noticed": int(noticed)}
    if not well:
        campaign.findings.append(text)
    return campaign


def number(value):
    return f"{value:,}"


def table(rows):
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"| {name:{width}} | {number(value):>16} |" for name, value in rows)


SIM_OWN = {"seeds", "device-days", "process starts", "starts refused (disk full or broken)", "handlers run", "commits",
           "exchanges", "events", "gaps of sources, shown", "usages at the upstream", "usages parked (refused, limit, one a day)",
           "usages created by callers", "usages deleted by callers", "deletions refused (invoiced), shown",
           "requests of callers repeated", "undated, shown", "lost", "doubled", "misdated", "seeds that broke a promise",
           "CPU seconds", "device-days a CPU-minute"}
SOURCE = "source: "  # what the device counted by itself, by kind
TWILIO = "twilio: "  # what the simulator's rows of upstreams that cannot be asked begin with


def rows_of_twilio(sim):
    """The part of the seeds whose upstream has neither ids nor read-back."""
    names = [("seeds", "of these at an upstream that cannot be asked"), ("device-days", "  device-days"),
             ("exchanges", "  exchanges"), ("charges of callers", "  charges of callers"), ("usages billed", "  usages billed"),
             ("items left out of a 202", "  items left out of a batch, sent again"), ("usages in doubt", "  usages in doubt"),
             ("resolved by the operator", "  resolved by the operator"),
             ("in doubt at the end, shown", "  in doubt at the end, shown"),
             ("billed twice, as declared", "  billed twice, as declared (resend)"),
             ("given up, as declared", "  given up, as declared (assume-delivered)"), ("billed twice", "  billed twice")]
    return [(shown, sim[TWILIO + name]) for name, shown in names]


def report(campaigns):
    sums = {campaign.name: campaign.sums for campaign in campaigns}
    sim, power = sums["simulator"], sums["power cuts"]
    rows = [("simulated seeds", sim["seeds"]), ("  device-days", sim["device-days"]), ("  events", sim["events"]),
            ("  exchanges with the upstream", sim["exchanges"]),
            ("  usages created by callers", sim["usages created by callers"]),
            ("  usages deleted by callers", sim["usages deleted by callers"]),
            ("  requests of callers repeated", sim["requests of callers repeated"])]
    rows += [(f"  {name.removeprefix(SOURCE)}", value) for name, value in sim.items() if name.startswith(SOURCE)]
    rows += [("  gaps of sources, shown", sim["gaps of sources, shown"])]
    rows += [(f"  fault: {name}", value) for name, value in sim.items()
             if name not in SIM_OWN and "refused" not in name and not name.startswith((SOURCE, TWILIO))]
    rows += rows_of_twilio(sim)
    rows += [("power cuts, one at each system call", power["cut points"]), ("  disk images opened", power["images opened"]),
             ("  starts refused", power["starts refused"]), ("  torn", power["torn"]),
             ("SIGKILLs of the real programs", sums["kills"]["kills"])]
    twilio = sums["Twilio kills"]
    rows += [("SIGKILLs with Twilio upstreams", twilio["kills"]), ("  charges", twilio.get("charges", 0)),
             ("  usages held in doubt", twilio.get("usages in doubt", 0)),
             ("  resolved by an operator", twilio.get("resolved", 0))]
    source = sums["source kills"]
    rows += [("SIGKILLs while each source counts", source["kills"]), ("  rules reloaded", source.get("reloads", 0)),
             ("  calls logged", source.get("calls", 0)), ("  of these lost, shown", source.get("calls shown as lost", 0)),
             ("  short messages", source.get("messages", 0)), ("  apps restarted", source.get("restarts of apps", 0))]
    if "mutants" in sums:
        rows += [("mutants", sums["mutants"]["mutants"]), ("  noticed", sums["mutants"]["mutants noticed"])]
    rows += [("lost", sim["lost"] + power["lost"]), ("doubled", sim["doubled"] + power["doubled"]),
             ("misdated", sim["misdated"]), ("promises broken", sum(len(one.findings) for one in campaigns))]
    return table(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=pathlib.Path, required=True, help="a build with METERD_PROOF")
    parser.add_argument("--dev", type=pathlib.Path, required=True, help="a build with meterd and meterctl")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=1, help="the first one; the same seed runs the same campaigns")
    options = parser.parse_args()
    minutes = options.minutes

    def until(share):
        return time.monotonic() + 60 * minutes * SHARE[share] if minutes else None

    campaigns = [simulate(options, until("sim")), cut_power(options, until("power")),
                 kill(options, minutes), kill(options, minutes, "Twilio kills", "kill_twilio_test.py"),
                 kill(options, minutes, "source kills", "kill_sources_test.py",
                      ("--client", options.dev / "bin/count_client"))]
    if not minutes:
        campaigns.append(mutate(options))
    print(report(campaigns))
    print()
    for campaign in campaigns[2:5]:
        print(f"{campaign.name}: {campaign.by_kind}")
    for campaign in campaigns:
        for finding in campaign.findings[:20]:
            print(f"{campaign.name}: {finding}")
    return 1 if any(campaign.findings for campaign in campaigns) else 0


if __name__ == "__main__":
    sys.exit(main())
