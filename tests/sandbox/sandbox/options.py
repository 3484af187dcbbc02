"""The command line."""

import argparse
import re

# Of Twilio, as meterd's sample configuration has it.
ACCOUNT = "AC0123456789abcdef0123456789abcdef"

_LISTEN = re.compile(r"unix:.+|[^:]+:[0-9]{1,5}|\[[0-9A-Fa-f:]+\]:[0-9]{1,5}")


def parse(arguments):
    about = "Plays the usage APIs of Chargebee and Twilio Marketplace for tests and demos."
    parser = argparse.ArgumentParser(prog="billing_sandbox", description=about)
    add = parser.add_argument
    add("--listen", type=_listen, default="127.0.0.1:0", help="HOST:PORT or unix:/path; port 0 picks a free one")
    add("--key", default="test_key", help="Chargebee: the API key that is accepted")
    add("--account", type=_sid, default=ACCOUNT, metavar="SID", help="Twilio: the user; default: %(default)s")
    add("--token", default="test_token", help="Twilio: the password; default: %(default)s")
    add("--items-max", type=_whole, metavar="N", help="Twilio V1: items per request; default: no limit (undocumented)")
    add("--digits-max", type=_whole, default=15, metavar="N", help="Twilio V1: digits of a quantity; default: 15")
    add("--unique", choices=("second", "day"), default="second", help="one usage per usage_date: second or UTC day")
    add("--lifetime-limit", type=_whole, default=5000, metavar="N", help="usages per subscription, for ever")
    add("--key-window", type=_whole, default=1800, metavar="SECONDS", help="how long an idempotency key is kept")
    add("--rate-per-minute", type=_whole, metavar="N", help="requests a minute to each vendor; default: no limit")
    add("--tls-cert", metavar="FILE", help="serve TLS with this certificate (PEM)")
    add("--tls-key", metavar="FILE", help="and this key (PEM)")
    add("--ledger", metavar="FILE", help="append what is charged to FILE, and start from it")
    add("--faults", metavar="SPEC", default="", help="JSON, or a list like all:0.3,reset_after:0.1")
    add("--seed", type=int, metavar="N", help="of the faults' generator; default: a random one, told on stderr")
    options = parser.parse_args(arguments)
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key go together")
    return options


def _listen(text):
    if not _LISTEN.fullmatch(text):
        raise argparse.ArgumentTypeError("must be HOST:PORT or unix:/path")
    return text


def _sid(text):
    if not re.fullmatch(r"(AC|SK)[0-9a-fA-F]{32}", text):
        raise argparse.ArgumentTypeError("must be AC or SK and 32 hex digits")
    return text


def _whole(text):
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise argparse.ArgumentTypeError("must be a whole number")
    return int(text)
