"""Ports of this machine that nobody uses."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

_CHANCE = random.SystemRandom()
"""Others run at the same time; a test may have seeded Python's own."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now, of those that the kernel gives to nobody who lets it choose.

    One of the others could be somebody else's before it is used.
    """
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = _CHANCE.randrange(first_of_kernel // 2, first_of_kernel)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("", port)))
                found.append(port)
    return found
