"""The completions against --help, and bash's at work: asked as bash asks it, and typed at a prompt."""

import os
import pathlib
import pty
import re
import select
import shlex
import signal
import tempfile
import time

import case
from case import COMPLETIONS, ROOT, ManualTest, difference, run

METERCTL_BASH = COMPLETIONS / "meterctl.bash"
METERD_BASH = ROOT / "agent/app/completion/meterd.bash"
PACKAGE = "/usr/share/bash-completion/bash_completion"
DEADLINE_S = 20


def complete(script, *words, directory=None):
    """What bash would offer for the last of the words. `script` is the completion's text."""
    ask = f"""
        COMP_WORDS=({' '.join(shlex.quote(word) for word in words)}) COMP_CWORD={len(words) - 1}
        read -r _ _ function _ < <(complete -p {words[0]})
        "$function"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = run("bash", "--norc", "--noprofile", "-c", script + ask, cwd=directory)
    if done.stderr:
        raise AssertionError(done.stderr)
    return [line for line in done.stdout.split("\n") if line]


def bash_complaints(script, everywhere, own):
    """The verbs and the options that it offers against those that there are; --version needs no verb, -h has --help."""
    dashed = lambda names: {f"--{name}" for name in names if len(name) > 1}  # noqa: E731
    out = difference("verbs", set(complete(script, "meterctl", "")), set(own))
    out += difference("options", set(complete(script, "meterctl", "--")), dashed(everywhere))
    for verb, options in own.items():
        real = dashed(options | everywhere) - {"--version"}
        out += difference(f"options of {verb}", set(complete(script, "meterctl", verb, "--")), real)
    return out


def zsh_offers(text):
    """(verbs, options of every verb, options by verb) as the zsh file lists them."""
    verbs = set(re.findall(r"^ {8}'(\w+):", text, re.MULTILINE))
    option = re.compile(r"--([\w-]+)\[")
    cases = re.findall(r"(\w+)\) words_of=\((.*?)\) ;;", text, re.DOTALL)
    own = {verb: set(option.findall(words)) for verb, words in cases}
    everywhere = set(option.findall(text.split("case $line")[0]))
    return verbs, everywhere, own


def fish_offers(text):
    verbs, everywhere, own = set(), set(), {}
    for line in text.split("\n"):
        option = re.search(r" -l ([\w-]+)", line)
        if found := re.search(r"__fish_seen_subcommand_from (\w+)", line):
            own.setdefault(found.group(1), set()).update(option.groups() if option else ())
        elif option:
            everywhere.add(option.group(1))
        elif found := re.search(r" -a (\w+)", line):
            verbs.add(found.group(1))
    return verbs, everywhere, own


def listed_complaints(offers, everywhere, own):
    verbs, listed_everywhere, listed = offers
    out = difference("verbs", verbs, set(own))
    out += difference("options", listed_everywhere, everywhere - {"h"})
    for verb in own.keys() | listed.keys():
        out += difference(f"options of {verb}", listed.get(verb, set()), own.get(verb, set()))
    return out


def typed(setup, keys, directory):
    """What the command line has become, as "<word><word>", when an interactive bash got these keys, tabs included."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(directory)
        os.environ.update(TERM="dumb", INPUTRC="/dev/null", HISTFILE="/dev/null", PS1="", HOME=str(directory))
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])

    def read_until(mark):
        screen, deadline = b"", time.monotonic() + DEADLINE_S
        while mark not in screen:
            if time.monotonic() > deadline:
                raise AssertionError(f"no {mark!r} on the screen: {screen!r}")
            if select.select([terminal], [], [], 0.1)[0]:
                screen += os.read(terminal, 4096)
        return screen.decode(errors="replace")

    try:
        os.write(terminal, f"{setup}; PS1='rea''dy> '\n".encode())
        read_until(b"ready> ")
        # To the line's start, a command that prints its words, and back to the end.
        os.write(terminal, keys.encode() + b"\x01printf '<%s>' \x05\n")
        return read_until(b">ready> ")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


class BashCompletion(ManualTest):
    def setUp(self):
        self.script = METERCTL_BASH.read_text()

    def test_it_offers_every_verb_and_option_and_no_other(self):
        self.assert_none(bash_complaints(self.script, *case.meterctl_help()))

    def test_a_missing_verb_and_an_invented_option_are_found(self):
        broken = self.changed(self.script, "outbox flush", "flush")
        self.assert_complains(bash_complaints(broken, *case.meterctl_help()), "verbs: outbox is missing")
        broken = self.changed(self.script, "echo --now", "echo --soon")
        self.assert_complains(bash_complaints(broken, *case.meterctl_help()), "options of flush: --soon does not exist")

    def test_a_verb_is_completed_after_options_too(self):
        self.assertEqual(["status"], complete(self.script, "meterctl", "statu"))
        self.assertEqual(["status"], complete(self.script, "meterctl", "--json", "--socket", "x", "statu"))
        self.assertEqual(["status"], complete(self.script, "meterctl", "--socket", "=", "x", "statu"))
        self.assertEqual([], complete(self.script, "meterctl", "report", "st"))

    def test_an_option_belongs_to_its_verb_wherever_it_stands(self):
        self.assertEqual(["--ack"], complete(self.script, "meterctl", "--timeout", "2m", "report", "sms.sent", "--a"))
        self.assertEqual([], complete(self.script, "meterctl", "status", "--a"))

    def test_ack_takes_its_two_values(self):
        both = ["received", "committed"]
        self.assertEqual(both, complete(self.script, "meterctl", "report", "sms.sent", "--ack", ""))
        self.assertEqual(both, complete(self.script, "meterctl", "report", "--ack", "="))
        self.assertEqual(["committed"], complete(self.script, "meterctl", "report", "--ack", "=", "c"))
        self.assertEqual([], complete(self.script, "meterctl", "report", "--quantity", ""))

    def test_an_action_and_the_source_of_usages_take_their_values(self):
        actions = ["open", "close", "void", "delete"]
        self.assertEqual(actions, complete(self.script, "meterctl", "invoice", ""))
        self.assertEqual(["close"], complete(self.script, "meterctl", "invoice", "--invoice", "inv_1", "c"))
        self.assertEqual(["bulk_operation"], complete(self.script, "meterctl", "usages", "--source", "b"))
        self.assertEqual([], complete(self.script, "meterctl", "report", "sms.sent", "--source", "b"))
        self.assertEqual([], complete(self.script, "meterctl", "usages", "--invoice", ""))
        self.assertEqual([], complete(self.script, "meterctl", "withdraw", ""))

    def test_paths_are_completed_where_an_option_takes_one(self):
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, "api.sock").touch()
            pathlib.Path(directory, "a b.toml").touch()
            self.assertEqual(["api.sock"], complete(self.script, "meterctl", "--socket", "ap", directory=directory))
            self.assertEqual(["a b.toml"], complete(self.script, "meterctl", "statement", "a ", directory=directory))
            meterd = METERD_BASH.read_text()
            self.assertEqual(["a b.toml"], complete(meterd, "meterd", "--config", "a b", directory=directory))
            self.assertEqual(["a b.toml"], complete(meterd, "meterd", "--config", "=", "a ", directory=directory))

    def test_the_daemons_options_are_those_of_its_help(self):
        offered = {option[2:] for option in complete(METERD_BASH.read_text(), "meterd", "")}
        self.assert_none(difference("meterd", offered, case.meterd_options() - {"h"}))

    def test_typed_at_a_prompt_it_works_with_and_without_the_package(self):
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, "my api.sock").touch()
            for before in ("true", f"source {PACKAGE}"):
                setup = f"{before}; source {METERCTL_BASH}"
                self.assertIn("<meterctl><status>", typed(setup, "meterctl statu\t", directory))
                self.assertIn("<--ack=received>", typed(setup, "meterctl report x --ack=r\t", directory))
                self.assertIn("<--socket><my api.sock>", typed(setup, "meterctl --socket my\t", directory))
            self.assertIn("<meterctl><st>", typed("true", "meterctl st\t", directory))  # nothing completes it


class OtherCompletions(ManualTest):
    def test_zsh_and_fish_list_every_verb_and_option_and_no_other(self):
        for name, offers, old, new, about in (
            ("meterctl.zsh", zsh_offers, "'--now[", "'--soon[", "options of flush: now is missing"),
            ("meterctl.zsh", zsh_offers, "'outbox:", "'inbox:", "verbs: inbox does not exist"),
            ("meterctl.fish", fish_offers, "-l now", "-l soon", "options of flush: soon does not exist"),
            ("meterctl.fish", fish_offers, "-a outbox", "-a inbox", "verbs: outbox is missing"),
        ):
            text = (COMPLETIONS / name).read_text()
            self.assert_none(listed_complaints(offers(text), *case.meterctl_help()))
            broken = self.changed(text, old, new)
            self.assert_complains(listed_complaints(offers(broken), *case.meterctl_help()), about)
