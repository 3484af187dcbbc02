"""meterd(8) and meterctl(1) against the programs; and whether the pages are well formed."""

import json
import pathlib
import re
import tempfile

import case
import pages
from case import METERCTL_PAGE, METERD_PAGE, PAGES, ROOT, ManualTest, difference, run

def layout_complaints(path):
    """Of mandoc and groff, both of which render the pages on some system."""
    lint = run("mandoc", "-T", "lint", "-W", "warning", path)
    out = (lint.stdout + lint.stderr).splitlines()
    for package in ("-mandoc", "-man"):
        out += run("groff", package, "-ww", "-z", "-Tutf8", path).stderr.splitlines()
    return out


def wide_lines(path):
    """What a terminal of 80 columns would break in the middle of an example."""
    shown = run("mandoc", "-T", "ascii", "-O", "width=80", path).stdout
    plain = re.sub(r".\x08", "", shown)
    return [f"{path.name}: wider than 80 columns: {line}" for line in plain.split("\n") if len(line) > 80]


def meterctl_complaints(text, everywhere, own):
    """The verbs with their options, and every option and command line that the page mentions."""
    verbs, verb = {}, None
    for depth, words, _ in pages.items(pages.section(text, "VERBS")):
        if depth == 1:
            verb = words[1]
            verbs[verb] = set()
        else:
            verbs[verb] |= pages.options_of(words)
    out = difference("VERBS", set(verbs), set(own))
    for name in verbs.keys() & own.keys():
        out += difference(f"the options of {name}", verbs[name], own[name])
    listed = set()
    for _, words, _ in pages.items(pages.section(text, "DESCRIPTION")):
        listed |= pages.options_of(words)
    out += difference("the options of every verb", listed, everywhere)
    out += difference("every option on the page", pages.all_options(text), everywhere | set().union(*own.values()))
    return out + command_complaints(text, everywhere, own)


def command_complaints(text, everywhere, own):
    """Every command line of meterctl in a page: its verb exists and has these options."""
    out = []
    for words in pages.command_lines(text, "meterctl"):
        verb = next((word for word in words[1:] if not word.startswith("-")), None)
        if verb not in own:
            out.append(f"{' '.join(words)}: no such verb")
            continue
        used = {word[2:] for word in words if word.startswith("--")}
        out += [f"{' '.join(words)}: no such option: {option}" for option in sorted(used - own[verb] - everywhere)]
    return out


def json_complaints(text):
    """The listings that meterctl(1) shows are JSON with the members that the daemon writes."""
    source = (ROOT / "agent/api/listings.cpp").read_text()
    out = []
    for block in pages.literal_blocks(text, "JSON"):
        shown = json.loads(block)
        name = next(iter(shown))
        function = re.search(rf"^std::string {name}_json\(.*?^}}", source, re.MULTILINE | re.DOTALL).group(0)
        rows = function.split("for (const auto& row : rows)")[1]
        written = set(re.findall(r'(?:\{|object\[)"(\w+)"', rows))
        if "coordinates(" in rows:
            written |= set(re.findall(r'\{"(\w+)",', source.split("json::object coordinates(")[1].split("\n}")[0]))
        out += difference(name, set(shown) | set(shown[name][0]), written)
    return out


def events_in_source():
    """The name of each line that the daemon can log."""
    out = set()
    for path in [*ROOT.glob("agent/**/*.cpp"), *ROOT.glob("platform/**/*.cpp")]:
        text = path.read_text()
        for first in re.findall(r"\blog\w*(?:\.|->)(?:error|warning|info|answer)\(([^{;]*)", text):
            out |= set(re.findall(r'"([a-z_]+)"', first))
        out |= set(re.findall(r'\brefuse\("([a-z_]+)"', text))
    return out


def events_in_page(text):
    """The names in the lists of DIAGNOSTICS, from the errors on."""
    _, _, lists = "\n".join(pages.section(text, "DIAGNOSTICS")).partition(".Sy Errors")
    lines = [line for line in lists.split("\n") if re.match(r"\.(It )?Li ", line)]
    return {word for line in lines for word in line.split() if re.fullmatch(r"[a-z_]{4,}", word)} - {"error"}


class Layout(ManualTest):
    def test_mandoc_and_groff_have_nothing_to_say_of_any_page(self):
        for page in PAGES:
            self.assert_none(layout_complaints(page))

    def test_an_unknown_macro_and_an_open_list_are_found(self):
        with tempfile.NamedTemporaryFile("w", suffix=".1") as broken:
            broken.write(METERCTL_PAGE.read_text() + ".Zz nothing\n.Bl -tag -width Ds\n.It Cm open\n")
            broken.flush()
            self.assert_complains(layout_complaints(broken.name), "Zz")
            self.assert_complains(layout_complaints(broken.name), "Bl")

    def test_no_line_is_wider_than_a_terminal(self):
        for page in PAGES:
            self.assert_none(wide_lines(page))

    def test_a_wide_example_is_found(self):
        with tempfile.TemporaryDirectory() as directory:
            page = pathlib.Path(directory) / "wide.1"
            page.write_text(METERCTL_PAGE.read_text() + ".Bd -literal\n" + "x" * 81 + "\n.Ed\n")
            self.assert_complains(wide_lines(page), "xxx")


class ProgramPages(ManualTest):
    def test_meterctl_1_has_every_verb_and_option_and_no_other(self):
        self.assert_none(meterctl_complaints(METERCTL_PAGE.read_text(), *case.meterctl_help()))

    def test_a_missing_and_an_invented_verb_or_option_of_meterctl_is_found(self):
        text = METERCTL_PAGE.read_text()
        for old, new, about in (
            (".It Cm verify\nRead", ".It Cm heal\nRead", "heal does not exist"),
            (".It Cm verify\nRead", ".It Cm heal\nRead", "verify is missing"),
            (".It Fl -source Ar NAME\n", "", "the options of report: source is missing"),
            (".It Fl -now\n", ".It Fl -later\n", "the options of flush: later does not exist"),
            (".It Fl -json\n", "", "the options of every verb: json is missing"),
            ("meterctl flush --now\n", "meterctl flush --soon\n", "no such option: soon"),
            ("meterctl outbox\n", "meterctl heal\n", "meterctl heal: no such verb"),
        ):
            self.assert_complains(meterctl_complaints(self.changed(text, old, new), *case.meterctl_help()), about)

    def test_the_listings_that_it_shows_have_the_members_that_are_written(self):
        text = METERCTL_PAGE.read_text()
        self.assertEqual(2, len(pages.literal_blocks(text, "JSON")))
        self.assert_none(json_complaints(text))
        broken = self.changed(self.changed(text, '"attempts"', '"tries"'), '"events"', '"n"')
        self.assert_complains(json_complaints(broken), "outbox: attempts is missing")
        self.assert_complains(json_complaints(broken), "buckets: n does not exist")

    def test_the_other_pages_use_meterctl_as_it_is(self):
        for page in PAGES[:2]:
            self.assert_none(command_complaints(page.read_text(), *case.meterctl_help()))
        text = self.changed(METERD_PAGE.read_text(), ".Ql meterctl verify\n", ".Ql meterctl repair\n")
        self.assert_complains(command_complaints(text, *case.meterctl_help()), "no such verb")

    def test_meterd_8_has_every_option_and_no_other(self):
        text = METERD_PAGE.read_text()
        self.assert_none(difference("meterd", pages.all_options(text), case.meterd_options()))
        for words in pages.command_lines(text, "meterd"):
            self.assertLessEqual({word[2:] for word in words if word.startswith("--")}, case.meterd_options())
        broken = text.replace("Fl -check", "Fl -verify")
        found = difference("meterd", pages.all_options(broken), case.meterd_options())
        self.assert_complains(found, "check is missing")

    def test_diagnostics_has_every_event_of_the_log_and_no_other(self):
        text = METERD_PAGE.read_text()
        events = events_in_source()
        self.assertGreater(len(events), 20)
        self.assert_none(difference("DIAGNOSTICS of meterd(8)", events_in_page(text), events))
        broken = self.changed(text, ".It Li usage_parked\n", ".It Li usage_stuck\n")
        self.assert_complains(difference("DIAGNOSTICS", events_in_page(broken), events), "usage_parked is missing")
        self.assert_complains(difference("DIAGNOSTICS", events_in_page(broken), events), "usage_stuck does not exist")
