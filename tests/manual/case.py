"""Where everything is, what the programs say of themselves in --help, and the base of the tests."""

import functools
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
METERD_PAGE = ROOT / "agent/app/man/meterd.8"
CONFIG_PAGE = ROOT / "agent/app/man/meterd.toml.5"
METERCTL_PAGE = ROOT / "agent/ctl/man/meterctl.1"
PAGES = (METERD_PAGE, CONFIG_PAGE, METERCTL_PAGE)
COMPLETIONS = ROOT / "agent/ctl/completion"

options = None  # meterd, meterctl, cmake, build: set by manual_test.py


def run(*command, **more):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **more)


class Help:
    """What --help prints: `options` without their dashes, `verbs` in order."""

    def __init__(self, text):
        self.options, self.verbs = set(), []
        part = ""
        for line in text.split("\n"):
            if re.fullmatch(r"\w+:", line):
                part = line
            elif part == "Options:" and (found := re.match(r"  (-\S+)", line)):
                self.options |= {name.lstrip("-") for name in found.group(1).split(",")}
            elif part == "Subcommands:" and (found := re.match(r"  (\w+) ", line)):
                self.verbs.append(found.group(1))


@functools.cache
def meterd_options():
    return Help(run(options.meterd, "--help").stdout).options


@functools.cache
def meterctl_help():
    """The options of every verb, and per verb those of its own."""
    top = Help(run(options.meterctl, "--help").stdout)
    own = {verb: Help(run(options.meterctl, verb, "--help").stdout).options - top.options for verb in top.verbs}
    return top.options, own


def difference(what, documented, real):
    """One complaint for each thing that is in one set only."""
    return [f"{what}: {name} does not exist" for name in sorted(documented - real)] + [
        f"{what}: {name} is missing" for name in sorted(real - documented)]


class ManualTest(unittest.TestCase):
    def assert_none(self, complaints):
        self.assertEqual([], complaints)

    def assert_complains(self, complaints, about):
        self.assertTrue(any(about in complaint for complaint in complaints), f"nothing about {about!r} in {complaints}")

    def changed(self, text, old, new):
        """For negative controls: the text must have `old`, or the control would prove nothing."""
        self.assertIn(old, text)
        return text.replace(old, new, 1)
