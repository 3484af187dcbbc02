#!/usr/bin/python3
"""The daemon's contract from the outside: files, commands, sockets and exit codes, with the real programs.

    contract_test.py --meterd PATH --meterctl PATH --sandbox PATH [unittest's arguments, for example -v NAME]
"""

import argparse
import pathlib
import sys
import unittest

from contract_access import Access, InheritedSockets  # noqa: F401  (unittest.main collects them)
from contract_backup import Backup  # noqa: F401
from contract_batches import TwilioBatches  # noqa: F401
from contract_case import ContractTest
from contract_clock import HiddenClock  # noqa: F401
from contract_disk import FullDisk  # noqa: F401
from contract_doctor import DoctorOfChargebee, DoctorOfTwilio, DoctorOfTwilioPreview  # noqa: F401
from contract_inputs import ApiInput, FramedInput, StatsdInput  # noqa: F401
from contract_invoice import InvoiceDocument, Invoicing  # noqa: F401
from contract_journal import UnopenableJournal  # noqa: F401
from contract_metrics import LogLines, Scrape, StatusDocument  # noqa: F401
from contract_process import Configuration, Neighbours, StartAndStop  # noqa: F401
from contract_reconcile import Compare  # noqa: F401
from contract_reload import Reload  # noqa: F401
from contract_slow_disk import SlowDisk  # noqa: F401
from contract_statement import UpstreamStatement  # noqa: F401
from contract_twilio import TwilioCalls, TwilioPreviewCalls, TwilioPreviewUsage, TwilioUsage  # noqa: F401
from contract_twilio_credit import TwilioAudit, TwilioCredit, TwilioCreditAtV1  # noqa: F401
from contract_twilio_price import Repricing  # noqa: F401
from contract_upstream import Upstream  # noqa: F401


def main():
    parser = argparse.ArgumentParser(add_help=False)
    for name in ("meterd", "meterctl", "sandbox"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    ContractTest.options, rest = parser.parse_known_args()
    unittest.main(module="__main__", argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
