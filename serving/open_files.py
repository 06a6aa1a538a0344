"""How many files a process may have open, connections among them."""

from __future__ import annotations

import contextlib
import resource

_OTHERS = 1000


def connections_that_fit(wanted: int) -> int:
    """How many of so many connections a worker can have; the limit is raised for them as far as it may be."""
    needed = wanted + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    return max(1, soft - _OTHERS)
