"""Runs a command that may not ask the kernel about its clock, as systemd's ProtectClock= has it: adjtimex and clock_adjtime
are refused.

    without_adjtimex.py COMMAND...
"""

import ctypes
import os
import platform
import struct
import sys

AUDIT_ARCH, ADJTIMEX, CLOCK_ADJTIME = {"x86_64": (0xC000003E, 159, 305), "aarch64": (0xC00000B7, 171, 266)}[platform.machine()]
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM
NUMBER, ARCH = 0, 4  # where they are in struct seccomp_data


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def main():
    steps = [(LOAD, 0, 0, ARCH), (JUMP_IF_EQUAL, 0, 3, AUDIT_ARCH), (LOAD, 0, 0, NUMBER),
             (JUMP_IF_EQUAL, 2, 0, ADJTIMEX), (JUMP_IF_EQUAL, 1, 0, CLOCK_ADJTIME),
             (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
       libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(len(steps), code)), 0, 0):
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    os.execv(sys.argv[1], sys.argv[1:])


main()
