"""A disk with a volatile write cache, as an nbdkit plugin: image=FILE has what was flushed, log=FILE what was not, one record
a write, in order. With lies=1 nothing is ever flushed, though it says so. Once there is a file armed=FILE it ends by itself
after as many writes as that says. Whoever cuts the power then lets some of the log's sectors reach the image, or none
(settle()): a disk may have written any of them.
"""

import os
import pathlib
import signal
import struct

try:
    import nbdkit
except ImportError:  # not as a plugin
    nbdkit = None

API_VERSION = 2
SECTOR = 512
RECORD = struct.Struct("<QI")
files, lies, armed, writes_left = {}, False, None, None
unflushed = {}  # by the sector's number


def config(key, value):
    global lies, armed
    if key == "lies":
        lies = value == "1"
    elif key == "armed":
        armed = value
    else:
        files[key] = os.open(value, os.O_RDWR | os.O_CREAT)


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly):  # noqa: A001: so it is called
    return files


def get_size(_handle):
    return os.fstat(files["image"]).st_size


def block_size(_handle):
    return SECTOR, 4096, 1 << 20


def can_fua(_handle):
    return nbdkit.FUA_EMULATE


def pread(_handle, buffer, offset, _flags):
    view = memoryview(buffer)
    os.preadv(files["image"], [view], offset)
    first = offset // SECTOR
    for number in range(len(view) // SECTOR if unflushed else 0):
        data = unflushed.get(first + number)
        if data is not None:
            view[number * SECTOR:(number + 1) * SECTOR] = data


def pwrite(_handle, buffer, offset, _flags):
    data = bytes(buffer)
    os.write(files["log"], RECORD.pack(offset, len(data)) + data)
    for at in range(0, len(data), SECTOR):
        unflushed[(offset + at) // SECTOR] = data[at:at + SECTOR]
    count_down()


def count_down():
    global writes_left
    if writes_left is None and os.path.exists(armed):
        writes_left = int(pathlib.Path(armed).read_text())
    if writes_left is not None:
        writes_left -= 1
        if writes_left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def flush(_handle, _flags):
    if lies:
        return
    for number, data in unflushed.items():
        os.pwrite(files["image"], data, number * SECTOR)
    unflushed.clear()
    os.ftruncate(files["log"], 0)
    os.lseek(files["log"], 0, os.SEEK_SET)


def settle(image, log, survives):
    """After the end of a disk, whichever it had: `survives()` is asked for each sector of each write. (sectors that were not
    flushed, those that survived)"""
    all_of_them = kept = 0
    data = log.read_bytes()
    log.unlink()
    at = 0
    with image.open("r+b") as file:
        while at + RECORD.size <= len(data):
            offset, size = RECORD.unpack_from(data, at)
            at += RECORD.size
            for begin in range(0, min(size, len(data) - at) // SECTOR * SECTOR, SECTOR):
                all_of_them += 1
                if survives():
                    kept += 1
                    file.seek(offset + begin)
                    file.write(data[at + begin:at + begin + SECTOR])
            at += size
    return all_of_them, kept
