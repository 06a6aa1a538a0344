"""The sockets at which a worker takes its clients' connections."""

from __future__ import annotations

import socket

_BACKLOG = 4096
"""Connections come in crowds, while the event loop may do something else for a moment."""
_KEEPALIVE = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 20, socket.TCP_KEEPCNT: 3}
"""Seconds, and how often. Finds clients of HTTP/1.1 that are gone without a word; what is accepted has it from here."""


def listen(host: str, port: int) -> socket.socket:
    """A socket beside those of other workers at the same port, which serving/supervision/ports.py holds for all.

    Raises:
        OSError: the port may not be had.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # What is accepted has that, too: connections that linger would keep the port from the next gateway.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            listening.setsockopt(socket.IPPROTO_TCP, option, value)
        listening.setblocking(False)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
