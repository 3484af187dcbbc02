"""What an emulated ARM machine is, and what it boots: Debian's kernel with a first program of our own, and an ext4 image with
systemd and the package. Root and kernel are made once and kept; the image is made for each run.
"""

import dataclasses
import os
import pathlib
import shutil

import roots
from packages import run

HERE = pathlib.Path(__file__).resolve().parent
MODULES = ("virtio_mmio", "virtio_blk", "virtio_net", "ext4", "crc32c_generic")
SIZE = "1G"
HOST, GUEST = "10.0.2.2", "10.0.2.15"  # in the network that qemu makes
SHELL, API, INGEST, BILLING = 2222, 8480, 8481, 8990
UNUSED = ("getty.target", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "fstrim.timer")


@dataclasses.dataclass(frozen=True)
class Kind:
    architecture: str
    emulator: str
    processor: str
    kernel: str  # a package
    compiler: str
    interpreter: str  # of binfmt_misc: runs the package scripts of a root


KINDS = {kind.architecture: kind for kind in (
    Kind("arm64", "qemu-system-aarch64", "cortex-a53", "linux-image-arm64", "aarch64-linux-gnu-gcc", "qemu-aarch64"),
    Kind("armhf", "qemu-system-arm", "cortex-a15", "linux-image-armmp-lpae", "arm-linux-gnueabihf-gcc", "qemu-arm"),
)}


def prepare(kind, cache, package, directory):
    """(root, kernel, initrd), the last one in the directory."""
    foreign = (f"--architectures={kind.architecture}", "--skip=check/qemu")
    run("update-binfmts", "--enable", kind.interpreter)
    root = roots.system(cache, package, *foreign)
    unpacked = roots.make(cache, f"kernel-{kind.architecture}", [kind.kernel], "--variant=extract", *foreign)
    return root, *make_initrd(kind, unpacked, directory)


def make_initrd(kind, unpacked, directory):
    kernel = next(unpacked.glob("boot/vmlinuz-*"))
    version = kernel.name.removeprefix("vmlinuz-")
    made = directory / "initrd"
    for name in ("dev", "root"):
        (made / name).mkdir(parents=True)
    run(kind.compiler, "-static", "-Os", "-s", "-Wall", "-Werror", "-o", made / "init", HERE / "image_init.c")
    run("depmod", "-b", unpacked, version)
    shown = run("modprobe", "--dirname", unpacked, "--set-version", version, "--show-depends", "--all", *MODULES).stdout
    files = dict.fromkeys(line.split()[1] for line in shown.splitlines() if line.startswith("insmod "))
    for file in files:
        shutil.copy(file, made)
    (made / "modules").write_text("".join(f"/{pathlib.Path(file).name}\n" for file in files))
    initrd = directory / "initrd.cpio"
    run("sh", "-c", f"find . | cpio --quiet --create --format=newc >'{initrd}'", cwd=made)
    return kernel, initrd


def proxy(name, listen, to):
    """A socket of the guest that is another's: {path: text}."""
    at = "etc/systemd/system"
    return {f"{at}/test-{name}.socket": f"[Socket]\nListenStream={listen}\n[Install]\nWantedBy=sockets.target\n",
            f"{at}/test-{name}.service": f"[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd {to}\n"}


def test_files(billing_port):
    """How host and guest reach each other: a shell, meterd's sockets, and from the guest's loopback the host's billing
    system. And a log in memory: one on the disk would have it flushed in the service's stead."""
    at = "etc/systemd/system"
    return {
        "etc/systemd/journald.conf.d/test.conf": "[Journal]\nStorage=volatile\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/hostname": "device\n",
        f"{at}/test-shell.socket": f"[Socket]\nListenStream={GUEST}:{SHELL}\nAccept=yes\nMaxConnections=64\n"
                                   "TriggerLimitBurst=0\n[Install]\nWantedBy=sockets.target\n",
        f"{at}/test-shell@.service": "[Service]\nExecStart=-/bin/sh\nStandardInput=socket\nStandardOutput=socket\n",
        **proxy("api", f"{GUEST}:{API}", "/run/meterd/api.sock"),
        **proxy("ingest", f"{GUEST}:{INGEST}", "/run/meterd/ingest.sock"),
        **proxy("billing", f"127.0.0.1:{BILLING}", f"{HOST}:{billing_port}"),
    }


def make_disk(root, package, directory, image, billing_port):
    """The image: the root with the package installed and enabled."""
    tree = directory / "tree"
    run("cp", "--archive", "--reflink=auto", root, tree)
    shutil.copy(package, tree / "root")
    run("unshare", "--mount", "sh", "-c", f"mount -t proc proc proc && exec chroot . dpkg --install /root/{package.name}", cwd=tree,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    files = test_files(billing_port)
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    run("systemctl", "--root", tree, "mask", *UNUSED)
    run("systemctl", "--root", tree, "enable", *(file.name for file in map(pathlib.Path, files) if file.suffix == ".socket"))
    run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", tree, image, SIZE)  # idle means idle
    shutil.rmtree(tree)
