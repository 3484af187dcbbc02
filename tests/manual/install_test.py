"""`cmake --install` into an empty prefix: the files that there shall be, and no other; they work from there."""

import gzip
import os
import pathlib
import re
import shutil
import tempfile

import case
from case import ManualTest, difference, run

EXPECTED = {
    "bin/meterctl",
    "lib/sysctl.d/meterd.conf",
    "lib/systemd/system/meterd.service",
    "lib/systemd/system/meterd.socket",
    "lib/sysusers.d/meterd.conf",
    "lib/tmpfiles.d/meterd.conf",
    "sbin/meterd",
    "share/bash-completion/completions/meterctl",
    "share/bash-completion/completions/meterd",
    "share/doc/meterd/examples/access-log.socket",
    "share/doc/meterd/examples/envoy-meterd.yaml",
    "share/doc/meterd/examples/gammu-smsd-event",
    "share/doc/meterd/examples/haproxy-meterd.cfg",
    "share/doc/meterd/examples/meterd.toml",
    "share/doc/meterd/examples/nftables.conf",
    "share/doc/meterd/examples/nginx-meterd.conf",
    "share/doc/meterd/examples/smstools-eventhandler",
    "share/doc/meterd/status.schema.json",
    "share/fish/vendor_completions.d/meterctl.fish",
    "share/man/man1/meterctl.1",
    "share/man/man5/meterd.toml.5",
    "share/man/man8/meterd.8",
    "share/zsh/vendor-completions/_meterctl",
}
LIBRARY = {
    "include/meter.h",
    "include/meter.hpp",
    "lib/libmeter.a",
    "lib/libmeter.so",
    "lib/libmeter.so.1",
    "lib/libmeter.so.1.0.0",
    "lib/pkgconfig/libmeter.pc",
    "share/man/man3/meter.3",
}
PACKAGE = "/usr/share/bash-completion/bash_completion"


def file_complaints(prefix, expected=frozenset(EXPECTED | LIBRARY)):
    files = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    return difference("installed", files, expected)


def page_complaints(prefix):
    """Both programs render each page, to its end."""
    out = []
    for page in sorted(prefix.glob("share/man/*/*")):
        for render in (("mandoc", "-T", "ascii"), ("groff", "-mandoc", "-Tascii", "-P-c")):
            done = run(*render, page)
            plain = re.sub(r".\x08", "", done.stdout)
            if done.returncode != 0 or done.stderr or not re.search(r"^NAME$.*^SEE ALSO$", plain, re.M | re.S):
                out.append(f"{render[0]} cannot render {page.name}: {done.stderr}")
    return out


class Install(ManualTest):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="meterd-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.prefix = cls.directory / "prefix"
        done = run(case.options.cmake, "--install", case.options.build, "--prefix", cls.prefix)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)

    def copy(self):
        """Of the installed files, for a negative control."""
        copy = self.directory / self.id()
        shutil.copytree(self.prefix, copy)
        return copy

    def test_it_is_exactly_the_files_that_it_shall_be(self):
        self.assert_none(file_complaints(self.prefix))

    def test_a_missing_and_a_stray_file_are_found(self):
        copy = self.copy()
        (copy / "share/man/man8/meterd.8").rename(copy / "bin/billing_sandbox")
        self.assert_complains(file_complaints(copy), "share/man/man8/meterd.8 is missing")
        self.assert_complains(file_complaints(copy), "bin/billing_sandbox does not exist")

    def test_everything_belongs_to_the_component_of_the_package(self):
        prefix = self.directory / "component"
        install = (case.options.cmake, "--install", case.options.build, "--prefix", prefix)
        run(*install, "--component", "another")
        self.assertFalse(prefix.exists())
        run(*install, "--component", "meterd")
        self.assert_none(file_complaints(prefix, EXPECTED))
        run(*install, "--component", "libmeter")
        run(*install, "--component", "libmeter-dev")
        self.assert_none(file_complaints(prefix))

    def test_the_programs_run_from_there(self):
        for program in ("sbin/meterd", "bin/meterctl"):
            self.assertRegex(run(self.prefix / program, "--version").stdout, r"^meter\w+ \d+\.\d+\.\d+\n$")

    def test_mandoc_and_groff_render_the_pages(self):
        self.assert_none(page_complaints(self.prefix))

    def test_a_compressed_page_is_found(self):
        copy = self.copy()
        (copy / "share/man/man8/meterd.8").write_bytes(gzip.compress(b".Dd today"))
        self.assert_complains(page_complaints(copy), "meterd.8")

    def test_bash_completion_loads_the_completions_by_the_commands_names(self):
        def loaded(prefix, command):
            ask = f"source {PACKAGE}; _completion_loader {command}; complete -p {command}"
            environment = {**os.environ, "XDG_DATA_DIRS": f"{prefix}/share"}
            return run("bash", "--norc", "--noprofile", "-c", ask, env=environment)

        for command in ("meterctl", "meterd"):
            self.assertIn(f"-F _{command} {command}", loaded(self.prefix, command).stdout)
        copy = self.copy()
        directory = copy / "share/bash-completion/completions"
        (directory / "meterctl").rename(directory / "meterctl-completion")
        self.assertNotIn("_meterctl", loaded(copy, "meterctl").stdout)
