"""Debian 12 as folders: a system's root, or packages unpacked; made once, by what is in them."""

import hashlib
import shutil

from harness import Failed
from packages import field, run


def runtime_packages(package):
    """What a .deb depends on, by name."""
    return [part.split()[0] for part in field(package, "Depends").split(",")]


def make(cache, kind, wanted, *options):
    """The folder with these packages below `cache`, by mmdebstrap with these options."""
    root = cache / f"{kind}-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    if root.exists():
        return root
    made = cache / (root.name + ".new")
    shutil.rmtree(made, ignore_errors=True)
    run("mmdebstrap", "--quiet", "--mode=root", f"--include={','.join(wanted)}", *options, "bookworm", made,
        *(f"deb {mirror()} {suite} main" for suite in ("bookworm", "bookworm-updates")))
    made.rename(root)
    return root


def mirror():
    """The one that apt is set up with, whichever it is."""
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages").stdout.split("\n")
    mirrors = [line.split()[0] for line in targets if line.endswith(" bookworm")]
    if not mirrors:
        raise Failed("apt knows no mirror of Debian 12: add bookworm main to its sources")
    return mirrors[0]


def system(cache, package, *options):
    """A root that boots, with what the package needs."""
    wanted = sorted({*runtime_packages(package), "systemd", "systemd-sysv", "dbus"})
    return make(cache, "-".join(["root", field(package, "Architecture")]), wanted, "--variant=minbase", *options)
