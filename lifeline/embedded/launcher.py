"""Starts one program as another user and ties its life to the one who started it.

Run by path: ``python -I launcher.py OWNER SIGNAL UID GID PROGRAM ARGUMENT...``. A process of its own,
because what happens between fork and exec of a threaded Python must not allocate; and because the kernel forgets
PR_SET_PDEATHSIG when the user changes, so that it has to be asked for after the privileges are dropped.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    owner, signal_number, uid, gid = (int(argument) for argument in sys.argv[1:5])
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    os.umask(0o077)
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != owner:  # the owner died before the kernel was asked
        sys.exit(1)
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606 - this program's whole purpose


if __name__ == "__main__":
    main()
