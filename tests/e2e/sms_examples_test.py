#!/usr/bin/python3
"""The examples that report short messages, with a meterctl that writes down what it was called with."""

import os
import pathlib
import subprocess
import tempfile
import unittest

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "systemd" / "examples"
METERCTL = """#!/bin/sh
echo "$*" >>"$CALLS"
[ "$(wc -l <"$CALLS")" -gt "${FAILURES:-0}" ] || exit 3
"""
RECEIVED = "From: 15550100\nReceived: 27-01-15 08:00:00\nSubject: GSM1\n{pdus}Alphabet: ISO\n\na text\nPDU: not one\n"


class Examples(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        program = self.directory / "meterctl"
        program.write_text(METERCTL)
        program.chmod(0o755)
        self.calls = self.directory / "calls"

    def run_example(self, name, *arguments, **environment):
        """(exit code, standard error, the calls of meterctl so far)"""
        everything = {"PATH": f"{self.directory}:{os.environ['PATH']}", "CALLS": str(self.calls), "METERD_PAUSE": "0",
                      **environment}
        done = subprocess.run([str(EXAMPLES / name), *arguments], env=everything, capture_output=True, text=True,
                              timeout=30)
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return done.returncode, done.stderr, calls

    def message(self, pdus, name="GSM1.abc123"):
        file = self.directory / name
        file.write_text(RECEIVED.format(pdus="PDU: 00FF\n" * pdus))
        return str(file)

    def test_smstools_counts_the_segments_of_the_header(self):
        code, error, calls = self.run_example("smstools-eventhandler", "RECEIVED", self.message(3))
        self.assertEqual((code, error), (0, ""))
        self.assertRegex(calls[0], r"^report sms\.received --subscription sub_1 --quantity 3 --id smstools-[0-9a-f]{32}$")
        code, _, calls = self.run_example("smstools-eventhandler", "SENT", self.message(1), METERD_SUBSCRIPTION="sub_9")
        self.assertEqual(code, 0)
        self.assertRegex(calls[1], r"^report sms\.sent --subscription sub_9 --quantity 1 ")

    def test_smstools_names_a_message_the_same_when_it_repeats(self):
        for _ in range(2):
            self.run_example("smstools-eventhandler", "SENT", self.message(1))
        _, _, calls = self.run_example("smstools-eventhandler", "SENT", self.message(1, "GSM1.xyz789"))
        self.assertEqual(calls[0], calls[1])
        self.assertNotEqual(calls[0], calls[2])

    def test_smstools_leaves_out_what_is_not_billed(self):
        for kind in ("REPORT", "FAILED", "CALL"):
            self.assertEqual(self.run_example("smstools-eventhandler", kind, self.message(1)), (0, "", []))

    def test_smstools_does_not_guess(self):
        code, error, calls = self.run_example("smstools-eventhandler", "SENT", self.message(0))
        self.assertEqual((code, calls), (1, []))
        self.assertIn("store_sent_pdu", error)

    def test_gammu_counts_its_messages(self):
        code, error, calls = self.run_example("gammu-smsd-event", "received", "IN_15550100_00.txt", "IN_15550100_01.txt",
                                              SMS_MESSAGES="2", DECODED_PARTS="1")
        self.assertEqual((code, error), (0, ""))
        self.assertRegex(calls[0], r"^report sms\.received --subscription sub_1 --quantity 2 --id gammu-[0-9a-f]{32}$")
        self.assertNotIn("15550100", calls[0])

    def test_gammu_names_a_message_the_same_when_it_repeats(self):
        for identifier in ("17", "17", "18"):
            self.run_example("gammu-smsd-event", "sent", identifier, SMS_MESSAGES="1")
        _, _, calls = self.run_example("gammu-smsd-event", "received", "17", SMS_MESSAGES="1")
        self.assertEqual(calls[0], calls[1])
        self.assertEqual(len(set(calls)), 3)

    def test_gammu_does_not_guess(self):
        for arguments, environment in ((["sent"], {"SMS_MESSAGES": "1"}), (["sent", "17"], {}), ([], {})):
            code, error, calls = self.run_example("gammu-smsd-event", *arguments, **environment)
            self.assertNotEqual(code, 0)
            self.assertEqual(calls, [])
            self.assertTrue(error)

    def test_gammu_works_without_any_descriptor(self):
        environment = {"PATH": f"{self.directory}:{os.environ['PATH']}", "CALLS": str(self.calls), "SMS_MESSAGES": "1"}
        done = subprocess.run(["/bin/sh", "-c", f"exec {EXAMPLES}/gammu-smsd-event sent 17 <&- >&- 2>&-"],
                              env=environment, timeout=30)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len(self.calls.read_text().splitlines()), 1)

    def test_both_try_again_while_meterd_is_down(self):
        code, _, calls = self.run_example("smstools-eventhandler", "SENT", self.message(1), FAILURES="2")
        self.assertEqual((code, len(calls)), (0, 3))
        self.assertEqual(len(set(calls)), 1)
        self.calls.unlink()
        code, _, calls = self.run_example("gammu-smsd-event", "sent", "17", SMS_MESSAGES="1", FAILURES="9")
        self.assertEqual((code, len(calls)), (1, 5))


if __name__ == "__main__":
    unittest.main()
