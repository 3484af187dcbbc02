"""meterd.toml(5) against systemd/meterd.toml and against what `meterd --check` makes of it."""

import os
import pathlib
import re
import tempfile
import tomllib

import case
import pages
from case import CONFIG_PAGE, ROOT, ManualTest, difference, run

# Of kinds of upstream that this version refuses; the file only names them.
NOT_IN_THE_FILE = {("upstream", key) for key in ("account", "token", "batch", "decimals", "in_doubt")}
OF_EVERY_SOURCE = ("kind", "event", "subscription")
# The least in which every table has its defaults.
LEAST = """
[[upstream]]
url = "https://acme.chargebee.com/api/v2"
key = { credential = "key" }
[[meter]]
event      = "data.bytes"
item_price = "data-usd"
[[source]]
kind         = "interface"
name         = "wwan0"
event        = "data.bytes"
subscription = "sub_1"
[[source]]
kind         = "modem-manager"
event        = "data.bytes"
subscription = "sub_1"
[[source]]
kind        = "nftables"
table       = "meterd"
set         = "subscribers"
subscribers = { "10.0.0.2" = "sub_1" }
event       = "data.bytes"
"""


def keys_of_file(text):
    """{(table, key): value} of systemd/meterd.toml, in which keys are commented out; as pages.config_keys()."""
    out, table, kind = {}, None, ""
    for line in text.split("\n"):
        if found := re.fullmatch(r"#? ?\[{1,2}([\w.]+)\]{1,2}", line):
            table, kind = found.group(1), ""
        elif found := re.fullmatch(r"#? ?(\w+) = (.+)", line):
            key, value = found.groups()
            if (table, key) == ("source", "kind"):
                kind = value.strip('"')
            of_kind = table == "source" and key not in OF_EVERY_SOURCE
            out.setdefault((f"{table} {kind}" if of_kind else table, key), value)
    return out


def against_file(page, file):
    documented, real = pages.config_keys(page), keys_of_file(file)
    names = lambda keys: {".".join(key) for key in keys}  # noqa: E731
    out = difference("meterd.toml(5)", names(documented.keys() - NOT_IN_THE_FILE), names(real))
    return out + [f"{'.'.join(key)} is {documented[key][0]} in the page and {real[key]} in systemd/meterd.toml"
                  for key in sorted(documented.keys() & real.keys()) if documented[key][0] != real[key]]


def check(text, secrets=("key",)):
    """`meterd --check` of a configuration whose credentials and secret files exist."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        for secret in secrets:
            (directory / secret).write_text("test_key\n")
            (directory / secret).chmod(0o600)
        (directory / "meterd.toml").write_text(text.replace("/etc/meterd/", f"{directory}/"))
        environment = {**os.environ, "CREDENTIALS_DIRECTORY": name}
        return run(case.options.meterd, "--config", directory / "meterd.toml", "--check", env=environment)


def against_defaults(page, described):
    """What the page calls a default is what is in force where nothing is set."""
    out = []
    for (table, key), (value, body) in pages.config_keys(page).items():
        if re.search(r"\b(Required|Default|No default)\b", body) or (table, key) in NOT_IN_THE_FILE:
            continue
        table, _, kind = table.partition(" ")
        found = described[table]
        found = found if isinstance(found, dict) else next(one for one in found if kind in ("", one.get("kind")))
        if key not in found or found[key] != tomllib.loads(f"x = {value}")["x"]:
            out.append(f"{table}.{key} is {value} in the page and {found.get(key)} in force")
    return out


def unknown_keys(page):
    """What `meterd --check` does not know of a file with every key of the page."""
    tables = {}
    for (table, key), (value, _) in pages.config_keys(page).items():
        tables.setdefault(table, []).append(f"{key} = {value}")
    text = ""
    for name, lines in tables.items():
        table, _, kind = name.partition(" ")
        lines = [f'kind = "{kind}"', *lines] if kind else lines
        many = table in ("upstream", "meter", "subscription", "source", "access.allow")
        text += "\n".join([f"[[{table}]]" if many else f"[{table}]", *lines, ""])
    return [line for line in check(text).stderr.split("\n") if "unknown key" in line or "not TOML" in line]


def example_complaints(page):
    """Every complete example loads without a warning, but of users and groups that only its reader has."""
    out = []
    for example in pages.literal_blocks(page, "EXAMPLES"):
        secrets = re.findall(r'(?:credential = "|/etc/meterd/)([\w-]+)"', example)
        checked = check(example, secrets)
        complaints = [line for line in checked.stderr.splitlines() if ": this system has no " not in line]
        if checked.returncode != 0 or complaints:
            out.append(f"{complaints} of:\n{example}")
    return out


class ConfigPage(ManualTest):
    def setUp(self):
        self.page = CONFIG_PAGE.read_text()
        self.file = (ROOT / "systemd/meterd.toml").read_text()

    def test_it_has_every_key_of_the_configuration_file_with_the_same_value(self):
        self.assertGreater(len(keys_of_file(self.file)), 40)
        self.assert_none(against_file(self.page, self.file))

    def test_a_missing_key_an_invented_one_and_another_value_are_found(self):
        for old, new, about in (
            (".It Cm reserve No", ".It Cm reserved No", "journal.reserve is missing"),
            (".It Cm reserve No", ".It Cm reserved No", "journal.reserved does not exist"),
            ("\\(dq10s\\(dq", "\\(dq20s\\(dq", 'journal.commit_interval is "20s"'),
        ):
            self.assert_complains(against_file(self.changed(self.page, old, new), self.file), about)

    def test_its_defaults_are_those_in_force(self):
        described = tomllib.loads(check(LEAST).stdout)
        self.assert_none(against_defaults(self.page, described))
        broken = self.changed(self.page, "No = \\(dq7d\\(dq", "No = \\(dq8d\\(dq")
        self.assert_complains(against_defaults(broken, described), "ingest.remember_ids")

    def test_meterd_knows_every_key_of_it(self):
        self.assert_none(unknown_keys(self.page))
        broken = self.changed(self.page, ".It Cm direction No", ".It Cm directions No")
        self.assert_complains(unknown_keys(broken), "directions")

    def test_every_example_loads(self):
        self.assertGreaterEqual(len(pages.literal_blocks(self.page, "EXAMPLES")), 4)
        self.assert_none(example_complaints(self.page))
        broken = self.changed(self.page, 'commit_interval  = "1m"', 'commit_interval  = "2h"')
        self.assert_complains(example_complaints(broken), "commit_interval")
