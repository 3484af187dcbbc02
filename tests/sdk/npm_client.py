"""The vendor's own client, in the versions that package-lock.json pins, installed once below the build directory."""

import pathlib
import shutil
import subprocess

from harness import Failed, digest

HERE = pathlib.Path(__file__).resolve().parent
INSTALL_SECONDS = 240
MANIFEST = ("package.json", "package-lock.json", ".npmrc")


def install(directory):
    """Makes `directory` hold the checks beside their node_modules. Only a new lock file needs npm's registry."""
    for command in ("node", "npm"):
        if not shutil.which(command):
            raise Failed(f"there is no {command}: platform/deps installs it")
    directory.mkdir(parents=True, exist_ok=True)
    for source in [*HERE.glob("*.mjs"), *(HERE / name for name in MANIFEST)]:
        shutil.copyfile(source, directory / source.name)
    stamp = directory / "installed"
    wanted = "".join(digest(HERE / name) + "\n" for name in MANIFEST)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    _npm_ci(directory)
    stamp.write_text(wanted)


def _npm_ci(directory):
    command = ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        complaint = None if done.returncode == 0 else done.stderr.strip() or f"it ended with {done.returncode}"
    except subprocess.TimeoutExpired:
        complaint = f"it did not end within {INSTALL_SECONDS} s"
    if complaint:
        raise Failed(f"npm could not install the client of tests/sdk/package-lock.json into {directory}; the first run "
                     f"needs npm's registry (its setting `registry`), later ones do not. npm ci says:\n{complaint}")
