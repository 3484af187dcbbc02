#!/usr/bin/python3
"""The maintainer scripts as they are in the source, on a root of a test's own: where they look for the journal, and what
a purge takes along.

    scripts_test.py
"""

import os
import pathlib
import re
import subprocess
import tempfile
import tomllib
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent.parent / "platform/debian"
READERS = ("meterd.preinst.in", "meterd.prerm")
STOP = re.compile(r"^stop_service\(\) \{\n.*?^\}\n", re.MULTILINE | re.DOTALL)
FUNCTION = re.compile(r"^journal_directory\(\) \{\n.*?^\}\n", re.MULTILINE | re.DOTALL)
CONFIGURED = (
    '[journal]\ndirectory = "/srv/m"\n',
    "[journal]\ndirectory = '/srv/m'\n",
    'journal.directory = "/srv/m"\n[journal.more]\n',
    'journal . "directory" = "/srv/m"\n',
    '[ journal ]\ndirectory = "/srv/m"\n',
    "['journal'] # here\n'directory'='/srv/m'\n",
    '  ["journal"]\n\tdirectory = "/srv/m"\n',
    '[journal]\n"directory" = "/srv/m"\n',
    '[journal]\n"directory"\t=\t"/srv/m"\t# "/srv/other"\n',
    '[journal]\ndirectory = "/srv/m"# on the disk\n',
    "[journal]\ndirectory = '''/srv/m'''\n",
    '[journal]\ndirectory = """/srv/m""" # three\n',
    'journal = { directory = "/srv/m" }\n',
    'journal = {max_size = "1MiB", "directory"=\'/srv/m\'} # one line\n',
    '[journal]\r\ndirectory = "/srv/m"\r\n',
    '[journal]\nmax_size = "1MiB"\n#directory = "/srv/old"\n\ndirectory = "/srv/my disk #1"\n',
    '[[meter]]\ndirectory = "/srv/other"\n[journal]\ndirectory = "/srv/m"\n[api]\ndirectory = "/srv/other"\n',
    '[access]\ngroups = [\n  "a",\n]\n[journal]\ndirectory = "/srv/m"\n[[meter]]\ndirectory = "/srv/other"\n',
    '[journal] # [api]\n# [api]\ndirectory = "/srv/m"\n',
    '[journal_of]\ndirectory = "/srv/other"\n',
    '#[journal]\n#directory = "/var/lib/meterd"\n[api]\njournal.directory = "/srv/other"\n',
    "",
)


class Scripts(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="meterd-scripts-")
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.home = self.root / "var/lib/meterd"

    def write(self, path, text):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())

    def run_script(self, *command, check=True, **environment):
        done = subprocess.run(["/bin/sh", *map(str, command)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "DPKG_ROOT": str(self.root), **environment})
        if check:
            self.assertEqual(done.returncode, 0, done.stdout)
        return done

    def directory_read_by(self, script):
        function = FUNCTION.search((SCRIPTS / script).read_text()).group()
        return self.run_script("-ec", f"root=$DPKG_ROOT\n{function}journal_directory").stdout.removesuffix("\n")

    def purge(self, journal):
        """What it says of a journal there that holds something, of which the removal has left a note."""
        self.write(f"{journal}/data.mdb", "a journal")
        self.write("/var/lib/meterd/removed", f"{journal}\nnot delivered:\n  billing sms-usd: 3\n")
        said = self.run_script(SCRIPTS / "meterd.postrm", "purge").stdout
        self.assertIn("    not delivered:\n      billing sms-usd: 3\n", said)
        self.assertFalse(self.home.exists())
        return said

    def test_both_read_the_journals_directory_alike(self):
        first, second = (FUNCTION.search((SCRIPTS / script).read_text()).group() for script in READERS)
        self.assertEqual(first, second)

    def test_they_read_it_in_every_way_to_write_it(self):
        for text in CONFIGURED:
            with self.subTest(text=text):
                self.write("/etc/meterd/meterd.toml", text)
                wanted = tomllib.loads(text).get("journal", {}).get("directory", "")
                self.assertEqual(self.directory_read_by("meterd.prerm"), wanted)
        self.write("/etc/meterd/meterd.toml", '\ufeff[journal]\ndirectory = "//srv/m/"\n')
        self.assertEqual(self.directory_read_by("meterd.prerm"), "/srv/m")

    def test_they_read_nothing_where_there_is_no_configuration(self):
        self.assertEqual(self.directory_read_by("meterd.prerm"), "")

    def test_a_removal_stops_whatever_starts_the_service_together_with_it(self):
        function = STOP.search((SCRIPTS / "meterd.prerm").read_text()).group()
        self.write("/bin/deb-systemd-invoke", '#!/bin/sh\necho "$@"\n')
        for systemctl, units in (
            ('[ "$*" = "show -P TriggeredBy meterd.service" ] && echo meterd.socket meterd-modem.socket',
             ["meterd-modem.socket", "meterd.service", "meterd.socket"]),
            ("exit 0", ["meterd.service", "meterd.socket"]),
            ("echo no bus >&2; exit 1", ["meterd.service", "meterd.socket"]),
        ):
            with self.subTest(systemctl=systemctl):
                self.write("/bin/systemctl", f"#!/bin/sh\n{systemctl}\n")
                for program in (self.root / "bin").iterdir():
                    program.chmod(0o755)
                said = self.run_script("-ec", f"{function}stop_service", PATH=f"{self.root}/bin:{os.environ['PATH']}").stdout
                self.assertRegex(said, r"^stop [^\n]*\n\Z")
                self.assertEqual(sorted(set(said.split()[1:])), units)

    def test_a_downgrade_is_refused_wherever_the_journal_is(self):
        preinst = self.root / "preinst"
        text = (SCRIPTS / "meterd.preinst.in").read_text()
        preinst.write_text(text.replace("@JOURNAL_FORMAT@", "1").replace("@VERSION@", "1.0"))
        self.write("/etc/meterd/meterd.toml", "journal.directory = '/srv/m/'\n")
        self.write("/srv/m/data.mdb", "a journal")
        for kept, refused in ((1, False), (2, True)):
            self.write("/srv/m/meterd.lock", f"meterd\nmark 1 format={kept} end\n")
            done = self.run_script(preinst, "upgrade", check=False)
            self.assertEqual(done.returncode != 0, refused, done.stdout)
            self.assertEqual("mv /srv/m /srv/m.old " in done.stdout, refused)

    def test_a_purge_says_that_it_takes_what_is_below_the_home(self):
        for journal in ("/var/lib/meterd", "/var/lib/meterd/", "/var/lib/meterd/journal", "/srv/../var/lib/./meterd/a/b"):
            with self.subTest(journal=journal):
                said = self.purge(journal)
                self.assertIn(f"removing the journal in {journal}, which held:\n", said)
                self.assertNotIn("stays", said)

    def test_a_purge_leaves_what_is_elsewhere_and_says_so(self):
        for journal in ("/srv/meterd", "/var/lib/meterd-2", "/var/lib/meterd/../meterd.more", "/var/lib"):
            with self.subTest(journal=journal):
                said = self.purge(journal)
                self.assertIn(f"the journal in {journal} stays: remove it yourself. It holds:\n", said)
                self.assertNotIn("removing", said)
                self.assertTrue(pathlib.Path(os.path.normpath(f"{self.root}{journal}"), "data.mdb").exists())

    def test_a_purge_leaves_what_a_link_leads_to_and_says_so(self):
        for link, target in (("/var/lib/meterd", "/srv/home"), ("/var/lib/meterd/journal", "/srv/journal")):
            with self.subTest(link=link):
                (self.root / target.lstrip("/")).mkdir(parents=True)
                at = self.root / link.lstrip("/")
                at.parent.mkdir(parents=True, exist_ok=True)
                at.symlink_to(self.root / target.lstrip("/"))
                said = self.purge("/var/lib/meterd/journal")
                self.assertIn("the journal in /var/lib/meterd/journal stays: remove it yourself.", said)
        self.assertTrue((self.root / "srv/home/journal/data.mdb").exists())
        self.assertTrue((self.root / "srv/journal/data.mdb").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
