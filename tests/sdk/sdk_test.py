#!/usr/bin/python3
"""The vendor's own client, as its customers use it, against the device's Usages API.

    sdk_test.py --meterd PATH --meterctl PATH --work DIRECTORY
    sdk_test.py --sandbox PATH --work DIRECTORY
    sdk_test.py --twilio --meterd PATH --meterctl PATH --work DIRECTORY

`--work` keeps the installed client between runs. With `--sandbox` the same checks run against the billing sandbox: a
control that they ask for what the vendor does, and nothing of meterd's own. With `--twilio` it is Twilio's client
against its two usage APIs.
"""

import argparse
import contextlib
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from harness import KEY, Device, Failed, Sandbox, wait_until  # noqa: E402
from npm_client import install  # noqa: E402

CHECKS_SECONDS = 180
DRAIN_SECONDS = 30
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
# Checks of what the sandbox does not serve: `source` and the filters beyond those that meterd itself needs.
# And it compares every header of a repeated key, where the client changes two from one attempt to the next.
SANDBOX_LACKS = [
    "create says that its source is api",
    'list: invoice_id[is]="inv_1"',
    'list: invoice_id[is]="null"',
    'list: invoice_id[is_not]="inv_1"',
    'list: invoice_id[starts_with]="inv"',
    "list: invoice_id[is_present]=true",
    "list: invoice_id[is_present]=false",
    'list: source[is]="api"',
    'list: source[is]="admin_console"',
    'list: source[is_not]="api"',
    'list: source[in]=["api","bulk_operation"]',
    'list: source[in]=["bulk_operation"]',
    'list: source[not_in]=["api","admin_console"]',
    "with retryConfig a create whose answer was lost is not created twice",
    "pdf of an invoice is a link to the document, which needs no credentials",  # there is no invoice at its start
]


def run_checks(work, port, without=()):
    """True if every check holds."""
    command = ["node", "chargebee_client.mjs", "--port", str(port), "--key", KEY]
    for name in without:
        command += ["--without", name]
    try:
        return subprocess.run(command, cwd=work, timeout=CHECKS_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        raise Failed(f"the client did not end within {CHECKS_SECONDS} s") from None


def check_sandbox(options, directory):
    sandbox = Sandbox(options.sandbox, directory)
    with contextlib.ExitStack() as ends:
        ends.callback(sandbox.stop)
        return run_checks(options.work, sandbox.port, SANDBOX_LACKS)


def check_device(options, directory):
    """A device that is its own ledger and keeps a key for callers over TCP."""
    device = Device(options.meterd, options.meterctl, directory)
    plain = device.config([("sms.sent", "sms-usd"), ("api.call", "api-usd")])
    key = f'chargebee_key = {{ file = "{directory}/key" }}'
    device.config_file.write_text(plain.replace("[api]\n", f"[api]\n{key}\n"))
    with contextlib.ExitStack() as ends:
        ends.callback(device.stop)
        device.start()
        count_something(device)
        passed = run_checks(options.work, device.tcp_port)
        code = device.terminate()
        if not passed or code != 0:
            print(f"meterd ended with {code}; the end of its log:\n{device.log_tail()}")
        return passed and code == 0


def check_twilio(options, directory):
    """A device that is its own ledger, called as the vendor's customers do; every cent of it is in the journal."""
    device = Device(options.meterd, options.meterctl, directory)
    token = f'twilio_account = "{ACCOUNT}"\ntwilio_token = {{ file = "{directory}/key" }}'
    device.config_file.write_text(device.config(()).replace("[api]\n", f"[api]\n{token}\n"))
    with contextlib.ExitStack() as ends:
        ends.callback(device.stop)
        device.start()
        command = ["node", "twilio_client.mjs", "--port", str(device.tcp_port), "--account", ACCOUNT, "--token", KEY]
        passed = subprocess.run(command, cwd=options.work, timeout=CHECKS_SECONDS).returncode == 0
        accepted = sorted(row["accepted"] for row in device.balances().values())
        if accepted != ["56.375", "7.5"]:
            print(f"the journal has {accepted}")
            passed = False
        return device.terminate() == 0 and passed


def count_something(device):
    """A usage that no call created, for the filter by source, and an invoice of it."""
    report = ["report", "sms.sent", "--subscription", "sub_counted", "--quantity", "3", "--ack", "committed"]
    code, text = device.ctl(*report)
    if code != 0:
        raise Failed(f"meterctl report ended with {code}: {text}")
    device.drain(DRAIN_SECONDS)
    end = int(time.time()) + 1
    wait_until("the second is over", lambda: time.time() >= end, 5)
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    invoice = ["invoice", "close", "--subscription", "sub_counted", "--until", until, "--invoice", "inv_counted"]
    code, text = device.ctl(*invoice)
    if code != 0:
        raise Failed(f"meterctl invoice close ended with {code}: {text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("meterd", "meterctl", "sandbox", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=name == "work")
    parser.add_argument("--twilio", action="store_true")
    options = parser.parse_args()
    if not options.sandbox and not (options.meterd and options.meterctl):
        parser.error("give --meterd and --meterctl, or --sandbox")
    try:
        install(options.work)
        with tempfile.TemporaryDirectory(prefix="meterd-sdk-") as directory:
            check = check_sandbox if options.sandbox else check_device
            if options.twilio:
                check = check_twilio
            return 0 if check(options, pathlib.Path(directory)) else 1
    except Failed as failure:
        print(f"sdk_test: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
