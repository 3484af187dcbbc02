#!/usr/bin/python3
"""The daemon's contract from the outside: files, commands, sockets and exit codes, with the real programs.

    contract_test.py --meterd PATH --meterctl PATH --sandbox PATH [unittest's arguments, for example -v NAME]
"""

import contract_case
from contract_access import Access, InheritedSockets  # noqa: F401  (unittest.main collects them)
from contract_backup import Backup  # noqa: F401
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
from contract_restore import Restore, RestorePortable  # noqa: F401
from contract_slow_disk import SlowDisk  # noqa: F401
from contract_statement import UpstreamStatement  # noqa: F401
from contract_upstream import Upstream  # noqa: F401

if __name__ == "__main__":
    contract_case.main()
