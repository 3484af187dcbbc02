"""A small ext4 of a bench's own, on a loop device that counts what reaches it.

/proc/PID/io counts a whole folio when one page of it becomes dirty: up to ten times too much where the file lies in
large folios. The device's own counter is the truth, the file system's journal included.
"""

import os
import pathlib
import subprocess

IMAGE_BYTES = 256 << 20  # sparse
SECTOR_BYTES = 512


class Disk:
    def __init__(self, directory):
        self.directory = directory
        found = subprocess.run(["findmnt", "-no", "SOURCE", str(directory)], capture_output=True, text=True, check=True)
        self._counters = pathlib.Path("/sys/block") / pathlib.Path(found.stdout.strip()).name / "stat"

    def written_bytes(self):
        """What reached the device so far; what is still on its way is waited for."""
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return int(self._counters.read_text().split()[6]) * SECTOR_BYTES


def own_disk(bench, stack, name):
    """Mounted until `stack` is left. None where that is not allowed: it takes root."""
    image, directory = bench.directory / f"{name}.img", bench.directory / f"{name}.disk"
    directory.mkdir()
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    # Everything is laid out now: nothing writes later but what is measured.
    options = "lazy_itable_init=0,lazy_journal_init=0"
    made = subprocess.run(["mkfs.ext4", "-q", "-F", "-E", options, str(image)], capture_output=True)
    mounted = made.returncode == 0 and subprocess.run(
        ["mount", "-o", "loop,noatime", str(image), str(directory)], capture_output=True
    )
    if not mounted or mounted.returncode != 0:
        return None
    stack.callback(subprocess.run, ["umount", "--lazy", str(directory)], check=False)
    return Disk(directory)
