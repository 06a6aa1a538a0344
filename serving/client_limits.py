"""What holds for clients of HTTP/1.1 and of HTTP/2; docs/limits.md promises it."""

from __future__ import annotations

MAX_HEADERS = 100
MAX_HEADERS_KIB = 60
HEADERS_TIMEOUT_S = 10.0
"""For the first line and the headers alone."""
MAX_CONCURRENT_STREAMS = 128
"""Of one connection. It is also how many requests of one client may stand before another's at most."""
WINDOW_BYTES = 1024 * 1024
"""What a stream may send before it is read; a connection sixteen times as much."""
CONNECTION_WINDOW_BYTES = 16 * WINDOW_BYTES
CANCELLED_CALLS = 500
"""From so many calls on, a connection that cancelled most of them within a second is closed.

With fewer a hostile client is got rid of sooner, but so is one whose deadlines are short while the gateway is slow.
"""
KEEPALIVE_INTERVAL_S = 60
"""A connection over which nothing has come for so long is asked whether its client is there."""
KEEPALIVE_TIMEOUT_S = 20
"""For the answer."""
