#!/usr/bin/python3
"""The Debian packages, of whatever the build folder has: what is in them, and what dpkg does with them.

    unshare --mount --propagation private --net package_test.py --build FOLDER --cpack PROGRAM
"""

import argparse
import pathlib
import re
import sys
import tempfile
import tomllib
import unittest

for folder in ("e2e", "golden"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / folder))
import golden  # noqa: E402
from harness import wait_until  # noqa: E402
from packages import NAMES, System, altered, field, files, pack, run  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NEXT = "99.0"
LIBRARIES = ("libc6", "libstdc++6", "libssl3", "liblmdb0", "libprotobuf-lite32", "libsystemd0", "libmnl0", "libcctz2",
             "libhpdf-2.3.0", "libtomlplusplus3", "libboost-json1.81.0", "libboost-url1.81.0")
DOCUMENTS = "/usr/share/doc/meterd"
METERD = {
    "/etc/meterd/meterd.toml",
    "/lib/systemd/system/meterd.service",
    "/lib/systemd/system/meterd.socket",
    "/usr/bin/meterctl",
    "/usr/lib/sysctl.d/meterd.conf",
    "/usr/lib/sysusers.d/meterd.conf",
    "/usr/lib/tmpfiles.d/meterd.conf",
    "/usr/sbin/meterd",
    "/usr/share/bash-completion/completions/meterctl",
    "/usr/share/bash-completion/completions/meterd",
    f"{DOCUMENTS}/changelog.gz",
    f"{DOCUMENTS}/copyright",
    *(f"{DOCUMENTS}/examples/{path.name}" for path in (ROOT / "systemd/examples").iterdir()),
    f"{DOCUMENTS}/examples/meterd.toml",
    f"{DOCUMENTS}/status.schema.json",
    "/usr/share/fish/vendor_completions.d/meterctl.fish",
    "/usr/share/man/man1/meterctl.1.gz",
    "/usr/share/man/man5/meterd.toml.5.gz",
    "/usr/share/man/man8/meterd.8.gz",
    "/usr/share/zsh/vendor-completions/_meterctl",
}
# An upstream that is never there, so that something stays undelivered.
CONFIGURED = """
[[upstream]]
name = "billing"
kind = "chargebee"
url = "http://127.0.0.1:9/api/v2"
key = { env = "KEY" }
[[meter]]
event = "sms.sent"
item_price = "sms-usd"
"""
APP = """#include <meter.h>
#include <stddef.h>
int main(void) { return meter_open(NULL) == NULL; }
"""


class Packages(unittest.TestCase):
    """Made once, in main()."""

    directory = packages = meterd = version = None

    @classmethod
    def make(cls, cpack, build, directory):
        Packages.directory = directory
        Packages.packages = pack(cpack, build, directory)
        Packages.meterd = cls.packages["meterd"]
        Packages.version = field(cls.meterd, "Version")

    @classmethod
    def next_meterd(cls, format_more=0):
        """The next version, which reads journals of a format so much higher."""

        def change(root):
            preinst = root / "DEBIAN/preinst"
            preinst.write_text(re.sub(r"(?m)^reads=(\d+)$", lambda m: f"reads={int(m[1]) + format_more}", preinst.read_text()))

        file = cls.directory / f"next-{format_more}.deb"
        return file if file.exists() else altered(cls.meterd, file, NEXT, change)


class Contents(Packages):
    def test_lintian_has_nothing_to_say(self):
        done = run("lintian", "--allow-root", "--tag-display-limit", "0", *self.packages.values(), check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_lintian_would_have_something_to_say(self):
        def change(root):
            (root / "usr/share/doc/meterd/copyright").unlink()

        broken = altered(self.meterd, self.directory / "broken.deb", self.version, change)
        self.assertIn("no-copyright-file", run("lintian", "--allow-root", broken, check=False).stdout)

    def test_they_are_these_and_have_these_files(self):
        self.assertEqual(sorted(self.packages), sorted(NAMES))
        found = files(self.meterd)
        self.assertEqual(set(found), METERD)
        executable = {path for path, mode in found.items() if "x" in mode and not mode.startswith("l")}
        programs = {"gammu-smsd-event", "smstools-eventhandler"}
        self.assertEqual(executable, {"/usr/bin/meterctl", "/usr/sbin/meterd", *(f"{DOCUMENTS}/examples/{name}" for name in programs)})
        triplet = run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").stdout.strip()
        library = {path for path in files(self.packages["libmeter1"]) if "/doc/" not in path}
        self.assertEqual(library, {f"/usr/lib/{triplet}/libmeter.so.1", f"/usr/lib/{triplet}/libmeter.so.1.0.0"})
        for file in ("/usr/include/meter.h", f"/usr/lib/{triplet}/libmeter.a", f"/usr/lib/{triplet}/pkgconfig/libmeter.pc"):
            self.assertIn(file, files(self.packages["libmeter-dev"]))

    def test_the_fields_say_what_each_needs(self):
        architecture = run("dpkg", "--print-architecture").stdout.strip()
        for package in self.packages.values():
            self.assertEqual(field(package, "Architecture"), architecture)
        for name, wanted in {"meterd": "foreign", "libmeter1": "same", "libmeter-dev": "same"}.items():
            self.assertEqual(field(self.packages[name], "Multi-Arch"), wanted)
        depends = field(self.meterd, "Depends")
        for library in (*LIBRARIES, "systemd"):
            self.assertRegex(depends, rf"(^|, ){re.escape(library)}(,| \(>= |$)")
        self.assertIn("fonts-dejavu-core", field(self.meterd, "Recommends"))
        self.assertEqual(field(self.packages["libmeter-dev"], "Depends"), f"libmeter1 (= {self.version})")
        self.assertEqual(field(self.packages["meterd-dbgsym"], "Depends"), f"meterd (= {self.version})")

    def test_the_symbols_are_apart(self):
        with tempfile.TemporaryDirectory() as directory:
            run("dpkg-deb", "--extract", self.meterd, directory)
            run("dpkg-deb", "--extract", self.packages["meterd-dbgsym"], directory)
            for program in ("usr/sbin/meterd", "usr/bin/meterctl"):
                sections = run("readelf", "--wide", "--sections", f"{directory}/{program}").stdout
                self.assertNotRegex(sections, r"\.(debug_info|symtab) ")
                notes = run("readelf", "--notes", f"{directory}/{program}").stdout
                build_id = re.search(r"Build ID: (..)(\w+)", notes)
                debug = f"{directory}/usr/lib/debug/.build-id/{build_id.group(1)}/{build_id.group(2)}.debug"
                self.assertRegex(run("readelf", "--wide", "--sections", debug).stdout, r"\.debug_info ")

    def test_the_configuration_is_a_conffile_without_a_key_in_force(self):
        with tempfile.TemporaryDirectory() as directory:
            run("dpkg-deb", "--extract", self.meterd, directory)
            run("dpkg-deb", "--control", self.meterd, f"{directory}/DEBIAN")
            self.assertEqual(pathlib.Path(directory, "DEBIAN/conffiles").read_text(), "/etc/meterd/meterd.toml\n")
            text = pathlib.Path(directory, "etc/meterd/meterd.toml").read_text()
            self.assertFalse(any(tomllib.loads(text).values()))
            self.assertIn('\n#max_size = "64MiB"\n', text)


class Life(Packages):
    """Each test has a system of its own, on which the package was never installed."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="meterd-system-")
        self.addCleanup(directory.cleanup)
        self.system = System(directory.name)
        self.addCleanup(self.system.close)
        self.assertEqual(self.system.state(), ("not-installed",))
        self.config = self.system.root / "etc/meterd/meterd.toml"
        self.journal = self.system.root / "var/lib/meterd"

    def install(self, package=None):
        return self.system.dpkg("--install", package or self.meterd).stdout

    def count(self, *numbers, seal=False):
        """Reports one event for each number, as an app does."""
        if CONFIGURED not in self.config.read_text():
            text = self.config.read_text().replace('#trust = "synchronised"', 'trust = "always"')
            self.config.write_text(text + CONFIGURED)
        with self.system.meterd({"KEY": "none"}):
            socket = self.system.root / "run/meterd/api.sock"
            wait_until("meterd listens", socket.exists, 20)
            for number in numbers:
                self.system.run("meterctl", "report", "sms.sent", "--subscription", "sub_1", "--quantity", "1", "--id",
                                f"msg-{number}")
            if seal:
                self.system.run("meterctl", "flush", "--now")
            socket.unlink()

    def be_newer(self, journal):
        """As if its journal had been opened by a version of the next format."""
        lock = journal / "meterd.lock"
        text, changed = re.subn(r"format=(\d+) ", lambda m: f"format={int(m[1]) + 1} ", lock.read_text())
        self.assertEqual(changed, 1)
        lock.write_text(text)

    def accepted(self):
        done = self.system.run("meterctl", "fsck", "--json")
        return re.search(r'"holdings":(\[.*?\])', done.stdout).group(1)

    def test_an_installation_makes_the_user_and_enables_the_units(self):
        self.install()
        self.assertEqual(self.system.state(), ("installed", self.version))
        self.assertIn("/var/lib/meterd", self.system.run("getent", "passwd", "meterd").stdout)
        for unit, wanted_by in (("meterd.service", "multi-user.target"), ("meterd.socket", "sockets.target")):
            self.assertEqual(self.system.run("systemctl", "is-enabled", unit).stdout, "enabled\n")
            self.assertTrue((self.system.root / f"etc/systemd/system/{wanted_by}.wants/{unit}").is_symlink())
        self.assertEqual(self.system.run("stat", "-c", "%U %a", "/run/meterd").stdout, "meterd 755\n")
        self.assertEqual(self.system.run("dpkg", "--verify", "meterd").stdout, "")
        self.assertIn("time_zone", self.system.run("meterd", "--check").stdout)

    def test_an_upgrade_keeps_the_configuration_the_journal_and_what_an_administrator_decided(self):
        self.install()
        self.count(1, 2)
        self.system.run("systemctl", "disable", "meterd.service")
        mine = self.config.read_text()
        self.install(self.next_meterd())
        self.assertEqual(self.system.state(), ("installed", NEXT))
        self.assertEqual(self.config.read_text(), mine)
        self.assertNotEqual(self.system.run("systemctl", "is-enabled", "meterd.service", check=False).returncode, 0)
        self.count(2, 3)
        self.assertIn('"undelivered":"3"', self.accepted())

    def test_an_upgrade_takes_over_a_journal_of_the_format_before(self):
        self.install(altered(self.meterd, self.directory / "before.deb", "0.0.1"))
        number, file, _ = golden.files()[0]
        self.assertEqual(number, 0)
        golden.put(golden.read(file), self.journal)
        self.system.run("chown", "--recursive", "meterd:meterd", "/var/lib/meterd")
        before = self.accepted()
        self.install()
        self.count(1, 2)
        self.assertIn("event=journal_migrated from=0 ", (self.system.root / "tmp/meterd.log").read_text())
        self.assertNotEqual(self.accepted(), before)
        self.assertEqual(self.system.run("meterctl", "fsck", check=False).returncode, 0)

    def test_a_version_that_could_not_read_the_journal_refuses_to_be_unpacked(self):
        newer = self.next_meterd(format_more=1)
        self.install(newer)
        # It has not opened the journal yet, for whatever reason: nothing is in the way back.
        self.install()
        self.install(newer)
        self.count(1)
        self.be_newer(self.journal)
        before = self.system.run("md5sum", "/usr/sbin/meterd").stdout
        refused = self.system.dpkg("--install", self.meterd, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("Nothing was changed", refused.stdout)
        self.assertIn("meterctl flush --now", refused.stdout)
        self.assertEqual(self.system.state(), ("installed", NEXT))
        self.assertEqual(self.system.run("dpkg", "--audit").stdout, "")
        self.assertEqual(self.system.run("md5sum", "/usr/sbin/meterd").stdout, before)
        # Nor after a removal, as the journal is still there.
        self.system.dpkg("--remove", "meterd")
        self.assertNotEqual(self.system.dpkg("--install", self.meterd, check=False).returncode, 0)
        # The way that the message names.
        self.journal.rename(self.journal.with_name("meterd.old"))
        self.install()
        self.assertEqual(self.system.state(), ("installed", self.version))

    def test_a_version_that_can_read_the_journal_may_follow_a_newer_one(self):
        self.install(self.next_meterd())
        self.count(1)
        self.install()
        self.assertEqual(self.system.state(), ("installed", self.version))
        self.count(1, 2)
        self.assertIn('"undelivered":"2"', self.accepted())

    def test_a_removal_keeps_the_journal_and_a_purge_says_what_it_held(self):
        self.install()
        self.count(1, 2, seal=True)
        self.count(3)
        said = self.system.dpkg("--remove", "meterd").stdout
        self.assertIn("the journal stays in /var/lib/meterd", said)
        self.assertTrue((self.journal / "data.mdb").exists())
        self.assertTrue(self.config.exists())
        self.install()  # it goes on where it was
        self.assertFalse((self.journal / "removed").exists())
        self.count(3)  # a repeat
        self.assertIn('"undelivered":"3"', self.accepted())
        said = self.system.dpkg("--purge", "meterd").stdout
        self.assertRegex(said, r"not delivered:\n +billing sms-usd: 3, of 1 usage and 1 open bucket\n")
        self.assertFalse(self.journal.exists())
        self.assertFalse(self.config.parent.exists())
        self.assertEqual(self.system.state()[0], "not-installed")
        left = self.system.run("find", "/etc/systemd", "/var/lib/systemd", "-name", "*meterd*").stdout
        self.assertEqual(left, "")

    def test_a_journal_elsewhere_is_asked_too_and_stays(self):
        self.install()
        elsewhere = self.system.root / "srv/meterd"
        self.system.run("install", "-d", "-o", "meterd", "-g", "meterd", "/srv/meterd")
        self.config.write_text(self.config.read_text().replace('#directory = "/var/lib/meterd"', "directory = '/srv/meterd'"))
        self.count(1)
        self.be_newer(elsewhere)
        refused = self.system.dpkg("--install", self.meterd, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("mv /srv/meterd /srv/meterd.old", refused.stdout)
        said = self.system.dpkg("--purge", "meterd").stdout
        self.assertRegex(said, r"the journal in /srv/meterd stays.*\n(.*\n)*.*billing sms-usd: 1, of 0 usages and 1 open bucket\n")
        self.assertTrue((elsewhere / "data.mdb").exists())

    def test_a_journal_below_the_home_goes_with_it_and_a_purge_says_so(self):
        self.install()
        journal = "/var/lib/meterd/journal"
        self.system.run("install", "-d", "-o", "meterd", "-g", "meterd", journal)
        self.config.write_text(self.config.read_text().replace('#directory = "/var/lib/meterd"', f'directory = "{journal}"'))
        self.count(1)
        said = self.system.dpkg("--purge", "meterd").stdout
        self.assertRegex(said, rf"removing the journal in {journal}.*\n(.*\n)*.*billing sms-usd: 1, of 0 usages and 1 open bucket\n")
        self.assertNotIn("remove it yourself", said)
        self.assertFalse(self.journal.exists())

    def test_an_app_is_built_with_the_library(self):
        self.system.dpkg("--install", self.packages["libmeter1"], self.packages["libmeter-dev"])
        (self.system.root / "tmp/app.c").write_text(APP)
        for linkage, needs in (("", True), ("-static", False)):
            self.system.run("sh", "-c", f"cc -o /tmp/app /tmp/app.c {linkage} $(pkg-config --cflags --libs libmeter)")
            self.system.run("/tmp/app")
            needed = self.system.run("readelf", "--dynamic", "/tmp/app").stdout
            self.assertEqual("libmeter.so.1" in needed, needs)
        self.system.dpkg("--remove", "libmeter1", "libmeter-dev")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--cpack", required=True)
    options, rest = parser.parse_known_args()
    run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="meterd-package-") as directory:
        Packages.make(options.cpack, options.build.resolve(), pathlib.Path(directory))
        unittest.main(argv=["package_test.py", *rest], verbosity=2)


if __name__ == "__main__":
    main()
