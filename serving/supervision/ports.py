"""The gateway's ports: chosen, and held for all workers together, before any of them starts.

Workers listen with SO_REUSEPORT, which lets any number of this user's processes share a port: wanted for those of one
gateway, never for two gateways.
"""

from __future__ import annotations

import socket


def hold(host: str, port: int) -> socket.socket:
    """A socket that keeps the port (0 takes a free one) for processes that listen with SO_REUSEPORT.

    Bound alone first, so that it fails wherever anybody else is; shared from then on. It never listens, so the kernel
    gives it no connections.

    Raises:
        OSError: somebody else has the port, or may not be had.
    """
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a gateway before may linger
        holder.bind((host, port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        holder.close()
        raise
    return holder


def number_of(holder: socket.socket) -> int:
    """The port that is held."""
    return int(holder.getsockname()[1])
