"""Ports for the processes that tests start."""

import atexit
import random
import socket
from pathlib import Path

# Below those of the embedded services, and far below those that the kernel gives to outgoing connections.
PORTS = range(10_000, 20_000)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that no other worker of these tests is given.

    Between the choice and the start of the process that listens on it seconds pass; a port that the kernel chose would
    be chosen again meanwhile, once in some thousand times. So it is promised, as ``lifeline.cli.home`` does it.
    """
    return next(port for port in random.sample(PORTS, len(PORTS)) if _is_free(port) and _is_promised(port))


def listeners(*ports: int) -> set[str]:
    """The sockets that take connections on these ports, as the kernel numbers them. Another program may be given a port
    the moment that it is free, as other workers of these tests do; a socket's number it does not get."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) in ports and fields[3] == "0A":
                found.add(fields[9])
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_promised(port: int) -> bool:
    promise = socket.socket(socket.AF_UNIX)
    try:
        promise.bind(f"\0lifeline/test-port/{port}")
    except OSError:
        promise.close()
        return False
    atexit.register(promise.close)
    return True
