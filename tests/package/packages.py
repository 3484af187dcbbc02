"""The packages that a build folder makes, variants of them, and a system to install them in."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess

NAMES = ("libmeter-dev", "libmeter1", "libmeter1-dbgsym", "meterd", "meterd-dbgsym")


def run(*command, check=True, **options):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done


def pack(cpack, build, out, version=None):
    """{name: file} of the packages; hardly compressed, since they are not what ships."""
    define = ["-D", f"CPACK_PACKAGE_VERSION={version}"] if version else []
    run(cpack, "--config", build / "CPackConfig.cmake", "-B", out, *define, cwd=out,
        env={**os.environ, "METERD_PACKAGE_COMPRESSION": "gzip 1"})
    shutil.rmtree(out / "_CPack_Packages")
    return {path.name.split("_")[0]: path for path in out.glob("*.deb")}


def field(package, name):
    return run("dpkg-deb", "--field", package, name).stdout.strip()


def files(package):
    """{path: mode} of all that is no directory."""
    out = {}
    for line in run("dpkg-deb", "--contents", package).stdout.splitlines():
        mode, owner, _, _, _, path = line.split(None, 5)
        assert owner == "root/root", line
        if not mode.startswith("d"):
            out[path.split(" -> ")[0].removeprefix(".")] = mode
    return out


def altered(package, to, version, change=lambda root: None):
    """A copy of a package as another version, with its unpacked files changed."""
    root = to.parent / (to.name + ".root")
    run("dpkg-deb", "--raw-extract", package, root)
    control = root / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.MULTILINE))
    change(root)
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", root, to)
    shutil.rmtree(root)
    return to


class System:
    """This machine as it is, below `directory`, to change as one likes: nothing of it is this machine's, and it is gone
    with the mounts of this process's name space. No service manager runs in it."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.root = directory / "root"
        self._mount("-t", "tmpfs", "tmpfs", directory)
        for name in ("upper", "work", "root"):
            (directory / name).mkdir()
        self._mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={directory}/upper,workdir={directory}/work",
                    self.root)
        self._mount("-t", "tmpfs", "tmpfs", self.root / "run")
        self._mount("-t", "tmpfs", "tmpfs", self.root / "tmp")
        for name in ("proc", "dev"):
            self._mount("--bind", f"/{name}", self.root / name)
        self._directory = directory

    @staticmethod
    def _mount(*arguments):
        run("mount", *arguments)

    def close(self):
        run("umount", "--recursive", self._directory)

    def run(self, *command, check=True, **options):
        return run("chroot", self.root, *command, check=check, **options)

    def dpkg(self, *arguments, check=True):
        inside = []
        for argument in arguments:
            if isinstance(argument, pathlib.Path):
                shutil.copy(argument, self.root / "tmp")
                argument = f"/tmp/{argument.name}"
            inside.append(argument)
        return self.run("dpkg", "--force-unsafe-io", *inside, check=check, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})

    def state(self, package="meterd"):
        """(state, version) as dpkg has it."""
        shown = self.run("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", package, check=False)
        return tuple(shown.stdout.split()) if shown.returncode == 0 else ("not-installed",)

    @contextlib.contextmanager
    def meterd(self, environment=()):
        """The daemon, as its own user, until the block is left."""
        self.run("install", "-d", "-o", "meterd", "-g", "meterd", "-m", "0750", "/var/lib/meterd")
        log = open(self.root / "tmp" / "meterd.log", "wb")
        process = subprocess.Popen(["chroot", "--userspec=meterd:meterd", str(self.root), "/usr/sbin/meterd"], stdout=log,
                                   stderr=log, env={**os.environ, **dict(environment)})
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)
            log.close()
