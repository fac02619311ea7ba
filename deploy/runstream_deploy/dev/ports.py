"""Loopback ports that nobody uses."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports on which nothing listens now.

    They lie below the kernel's ephemeral range: a client that keeps dialling a stopped service from an ephemeral port
    could otherwise be given that very port and connect to itself, and the service could not come back.
    """
    low = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32768
    start, end = (10000, low) if low > 11000 else (20000, 60000)
    found: list[int] = []
    for port in random.sample(range(start, end), min(end - start, 2000)):
        if is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"No {count} free ports between {start} and {end} on 127.0.0.1; stop something that listens there.")


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
