"""A child that ends with its parent, however the parent ends (Linux)."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def tie_to_parent(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when the one that started it dies; also an initializer for pools' workers.

    ``parent``: its process id, where it may have died already before this call.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
