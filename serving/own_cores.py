"""Cores that are the gateway's alone, divided among its workers; in each, connections get some for themselves.

The threads that hand a request over and answer it are woken several times for it. Where one shares a core with a thread
that reads what others send as fast as they can, it may stay on that core for a tick of the kernel's while another is
idle: docs/limits.md has what that costs. So threads that read connections keep to some cores, and those that everybody
waits for to the others. Models' runs and images take any of the worker's; what reads large bodies, at a lower priority,
gives way to connections rather than to the event loop.

It is for who knows that nothing else runs there: beside a program that computes, a thread that may not go elsewhere
waits longer than one that may.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from serving.cores import connection_threads, usable_cores

_LEAST_FOR_EACH = 2
_CONNECTION_THREAD = "wrk:worker_"
"""How Envoy's names of such threads begin."""


class OwnCoresError(ValueError):
    """There are too few cores, or they are not the gateway's own; the text says so."""


class CoreSplit(NamedTuple):
    """The cores of one worker, by the kernel's numbers."""

    connections: frozenset[int]
    """One for each thread that reads and writes connections."""
    others: frozenset[int]
    """For the event loop, and what hands requests over to it."""

    def keep_connections(self, pid: int) -> None:
        """Has the threads of process `pid` that read connections keep to their cores; called once they are there."""
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(OSError):  # it has ended
                if (thread / "comm").read_text().startswith(_CONNECTION_THREAD):
                    os.sched_setaffinity(int(thread.name), self.connections)

    def keep_others(self) -> None:
        """Has the calling thread and the process' first keep to the others, and what they start from now on."""
        for thread in (0, os.getpid()):
            os.sched_setaffinity(thread, self.others)

    def join_connections(self) -> None:
        """Has the calling thread, and what it starts from now on, keep to the connections' cores."""
        os.sched_setaffinity(0, self.connections)

    def spread(self) -> None:
        """Lets the calling thread, and what it starts from now on, run on all of them again."""
        os.sched_setaffinity(0, self.connections | self.others)


def split_cores(cores: Collection[int], workers: int) -> list[CoreSplit]:
    """Divides the cores among so many workers: neighbours stay together, and no part is two larger than another.

    Raises:
        OwnCoresError: there are not two for each.
    """
    ordered = sorted(cores)
    if len(ordered) < _LEAST_FOR_EACH * workers:
        who = "the worker" if workers == 1 else f"each of {workers} workers"
        raise OwnCoresError(f"expected at least {_LEAST_FOR_EACH} cores for {who}, received {len(ordered)}")
    bounds = [len(ordered) * number // workers for number in range(workers + 1)]
    return [_split(ordered[begin:end]) for begin, end in pairwise(bounds)]


def split_own_cores(workers: int) -> list[CoreSplit]:
    """As `split_cores`, of the cores that this process may run on.

    Raises:
        OwnCoresError: as there; or a container's limit leaves fewer than these, so that others have them, too.
    """
    cores = os.sched_getaffinity(0)
    if (share := usable_cores()) < len(cores):
        raise OwnCoresError(f"expected cores of the gateway's alone, received the time of {share} on {len(cores)}")
    return split_cores(cores, workers)


def _split(cores: list[int]) -> CoreSplit:
    threads = min(connection_threads(len(cores)), len(cores) // 2)
    return CoreSplit(frozenset(cores[:threads]), frozenset(cores[threads:]))
