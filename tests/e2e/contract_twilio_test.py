#!/usr/bin/python3
"""The same as contract_test.py with Twilio upstreams, and with their APIs served on the device.

    contract_twilio_test.py --meterd PATH --meterctl PATH --sandbox PATH [unittest's arguments, for example -v NAME]
"""

import contract_case
from contract_batches import TwilioBatches  # noqa: F401  (unittest.main collects them)
from contract_twilio import TwilioCalls, TwilioPreviewCalls, TwilioPreviewUsage, TwilioUsage  # noqa: F401
from contract_twilio_credit import TwilioAudit, TwilioCredit, TwilioCreditAtV1  # noqa: F401
from contract_twilio_price import Repricing  # noqa: F401

if __name__ == "__main__":
    contract_case.main()
