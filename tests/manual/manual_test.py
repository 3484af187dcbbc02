#!/usr/bin/python3
"""The manual pages, the completions and the install against the built programs and meterd.toml. Every check is a
function that returns complaints, and has a negative control: a copy with one thing wrong, of which it must complain.

    manual_test.py --meterd PATH --meterctl PATH --cmake PATH --build DIRECTORY [unittest's arguments, such as -v NAME]
"""

import argparse
import pathlib
import sys
import unittest

import case
from completion_test import BashCompletion, OtherCompletions  # noqa: F401  (unittest.main collects them)
from config_page_test import ConfigPage  # noqa: F401
from install_test import Install  # noqa: F401
from program_pages_test import Layout, ProgramPages  # noqa: F401


def main():
    parser = argparse.ArgumentParser(add_help=False)
    for name in ("meterd", "meterctl", "cmake", "build"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    case.options, rest = parser.parse_known_args()
    unittest.main(module="__main__", argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
