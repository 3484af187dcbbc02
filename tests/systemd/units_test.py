#!/usr/bin/python3
"""The units as systemd reads them, without running any: nothing in them that it does not know, the sandbox as tight as it
is said to be, and the sockets those that meterd.toml has by default.

    units_test.py --meterd PROGRAM
"""

import argparse
import pathlib
import re
import subprocess
import tempfile
import tomllib
import unittest

UNITS = pathlib.Path(__file__).resolve().parent.parent.parent / "systemd"
EXPOSURE_MAX = 15  # in tenths, as systemd-analyze security counts
EXPOSURE_MAX_WITH_NFTABLES = 18


class Units(unittest.TestCase):
    meterd = None

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="meterd-units-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        for name in ("meterd.service", "meterd.socket"):
            self.put(name, (UNITS / name).read_text())
        self.put("access-log.socket", (UNITS / "examples/access-log.socket").read_text())

    def put(self, name, text):
        """As it would be installed: with a program that is there. The manual is not installed here."""
        text = text.replace("/usr/sbin/meterd", str(self.meterd))
        (self.directory / name).write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))

    def analyze(self, *arguments):
        done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, cwd=self.directory)
        return done.returncode, done.stdout + done.stderr

    def verify(self):
        return self.analyze("verify", "./meterd.service", "./meterd.socket", "./access-log.socket")[1]

    def exposure(self, *more):
        """What it is at most, of the service with these drop-ins."""
        service = (self.directory / "meterd.service").read_text()
        (self.directory / "all.service").write_text("\n".join([service, *more]))
        code, text = self.analyze("security", "--offline=yes", "--no-pager", "./all.service")
        found = re.search(r"Overall exposure level for all\.service: (\d+)\.(\d)", text)
        self.assertTrue(found, text)
        return int(found.group(1)) * 10 + int(found.group(2))

    def test_systemd_knows_all_of_it(self):
        self.assertEqual(self.verify(), "")

    def test_a_key_that_systemd_does_not_know_would_be_noticed(self):
        self.put("meterd.service", (UNITS / "meterd.service").read_text() + "\n[Service]\nRestartAlways=yes\n")
        self.assertIn("RestartAlways", self.verify())

    def test_the_sandbox_is_as_tight_as_it_is_said_to_be(self):
        self.assertLessEqual(self.exposure(), EXPOSURE_MAX)
        self.assertLessEqual(self.exposure((UNITS / "examples/nftables.conf").read_text()), EXPOSURE_MAX_WITH_NFTABLES)
        self.assertGreater(self.exposure("[Service]\nNoNewPrivileges=no\nProtectSystem=no\n"), EXPOSURE_MAX)

    def test_the_sockets_are_those_of_meterd_toml(self):
        (self.directory / "meterd.toml").write_text('[device]\nid = "gw"\n')
        check = subprocess.run([self.meterd, "--config", self.directory / "meterd.toml", "--check"], capture_output=True,
                               text=True, check=True)
        config = tomllib.loads(check.stdout)
        ingest, api = config["ingest"], config["api"]
        wanted = {("ListenStream", ingest["socket"]), ("ListenSequentialPacket", ingest["counters"])}
        wanted |= {("ListenDatagram", address.split(":", 1)[1]) for address in ingest["statsd"]}
        wanted |= {("ListenStream", address.removeprefix("unix:")) for address in api["listen"]}
        held = set(re.findall(r"^(Listen\w+)=(.*)$", (UNITS / "meterd.socket").read_text(), re.MULTILINE))
        self.assertEqual(held, wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meterd", required=True, type=pathlib.Path)
    options, rest = parser.parse_known_args()
    Units.meterd = options.meterd.resolve()
    unittest.main(argv=["units_test.py", *rest], verbosity=2)


if __name__ == "__main__":
    main()
