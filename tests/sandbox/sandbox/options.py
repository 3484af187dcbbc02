"""The command line."""

import argparse
import re

_LISTEN = re.compile(r"unix:.+|[^:]+:[0-9]{1,5}|\[[0-9A-Fa-f:]+\]:[0-9]{1,5}")


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="billing_sandbox", description="Plays Chargebee's Usages API for tests and demos."
    )
    add = parser.add_argument
    add("--listen", type=_listen, default="127.0.0.1:0", help="HOST:PORT or unix:/path; port 0 picks a free one")
    add("--key", default="test_key", help="the API key that is accepted")
    add("--unique", choices=("second", "day"), default="second", help="one usage per usage_date: second or UTC day")
    add("--lifetime-limit", type=_whole, default=5000, metavar="N", help="usages per subscription, for ever")
    add("--key-window", type=_whole, default=1800, metavar="SECONDS", help="how long an idempotency key is kept")
    add("--rate-per-minute", type=_whole, metavar="N", help="requests a minute; default: no limit")
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


def _whole(text):
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise argparse.ArgumentTypeError("must be a whole number")
    return int(text)
