#!/usr/bin/env python3
"""Breaks the agent on purpose, one line at a time, and asks whether the tests notice.

Each NAME.patch beside this file begins with what the broken agent does wrong. The tree is copied, each patch applied
to the copy in turn, built, and tested with the unit tests named by PARTS. A mutant that every test passes is a hole in
the tests: exit 1. So is a patch that no longer applies or builds: it says nothing.

    mutants.py --build DIR [--json FILE] [NAME...]
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PARTS = "journal;ingest;flush;core;power;sim"
TEST_MINUTES_MAX = 10  # of one mutant: one that hangs is noticed too


class Tree:
    """A copy of the project with a build of its own."""

    def __init__(self, directory):
        self._source, self._build = directory / "source", directory / "build"

    def copy(self):
        names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True,
                               text=True, check=True).stdout.splitlines()
        known = {self._source / name for name in names}
        for name in names:
            there, here = self._source / name, ROOT / name
            if not here.is_file():
                continue
            there.parent.mkdir(parents=True, exist_ok=True)
            if not there.exists() or there.read_bytes() != here.read_bytes():
                shutil.copyfile(here, there)
                shutil.copymode(here, there)
        for old in self._source.rglob("*"):
            if old.is_file() and old not in known:
                old.unlink()

    def configure(self):
        subprocess.run(["cmake", "--log-level=WARNING", "-C", self._source / "toolchains/dev.cmake", "-B", self._build,
                        "-S", self._source, f"-DMETERD_TEST_PARTS={PARTS}"], check=True, stdout=subprocess.DEVNULL)

    def patch(self, file, *options):
        done = subprocess.run(["patch", "--strip=1", "--fuzz=0", "--quiet", "--no-backup-if-mismatch", "--reject-file=-",
                               "--directory", self._source, "--input", file, *options], capture_output=True, text=True)
        return done.returncode == 0

    def build(self):
        done = subprocess.run(["cmake", "--build", self._build, "--parallel", str(os.cpu_count())], capture_output=True,
                              text=True)
        return None if done.returncode == 0 else done.stdout[-2000:] + done.stderr[-2000:]

    def failing_test(self):
        """The first test that fails; None: all of them pass."""
        try:
            done = subprocess.run(["ctest", "--test-dir", self._build, "--output-on-failure", "--stop-on-failure",
                                   "--no-tests=error", "-L", "^unit$"], capture_output=True, text=True,
                                  timeout=60 * TEST_MINUTES_MAX)
        except subprocess.TimeoutExpired:
            return "hangs"
        if done.returncode == 0:
            return None
        named = re.findall(r"^\[  FAILED  \] (\S+)", done.stdout, re.MULTILINE)
        crashed = re.findall(r"^\[ RUN      \] (\S+)\n(?!\[)", done.stdout, re.MULTILINE)
        return (named or crashed or ["a test that ended early"])[0].rstrip(",")


def judge(tree, file):
    if not tree.patch(file):
        return "does not apply", None
    try:
        if error := tree.build():
            print(error, file=sys.stderr)
            return "does not build", None
        test = tree.failing_test()
        return ("noticed", test) if test else ("SURVIVED", None)
    finally:
        tree.patch(file, "--reverse")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="where the copy is kept for the next time")
    parser.add_argument("--json", type=pathlib.Path, help="write the outcome there too")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    files = sorted(HERE.glob("*.patch"))
    if unknown := set(options.names) - {file.stem for file in files}:
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}")
    if options.names:
        files = [file for file in files if file.stem in options.names]

    tree = Tree(options.build.resolve())
    tree.copy()
    tree.configure()
    if error := tree.build():
        sys.exit(f"the tree itself does not build:\n{error}")
    if test := tree.failing_test():
        sys.exit(f"the tree itself fails {test}")
    outcomes = []
    for file in files:
        began = time.monotonic()
        outcome, test = judge(tree, file)
        outcomes.append({"mutant": file.stem, "outcome": outcome, "test": test})
        print(f"{outcome:14} {file.stem:36} {test or '':60} {time.monotonic() - began:4.0f} s", flush=True)
    noticed = sum(one["outcome"] == "noticed" for one in outcomes)
    print(f"{noticed} of {len(outcomes)} mutants noticed")
    if options.json:
        options.json.write_text(json.dumps(outcomes, indent=1) + "\n")
    return 0 if noticed == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
