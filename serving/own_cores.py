"""Cores that are the gateway's alone, divided among its workers, and in each among connections and the event loop.

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
import json
import os
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

from serving.cores import connection_threads, cpu_limit

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

    def to_text(self) -> str:
        """For a worker's environment."""
        return json.dumps([sorted(self.connections), sorted(self.others)])

    @classmethod
    def of_text(cls, text: str) -> Self:
        """What `to_text` has written."""
        return cls(*map(frozenset, json.loads(text)))

    def keep_connections(self, pid: int) -> None:
        """Has the threads of process `pid` that read connections keep to their cores; called once they are there."""
        with contextlib.suppress(OSError):  # it has ended
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):  # so has the thread
                    if (thread / "comm").read_text().startswith(_CONNECTION_THREAD):
                        _keep(int(thread.name), self.connections)

    def keep_others(self) -> None:
        """Has the calling thread and the process' first keep to the others, and what they start from now on."""
        _keep(0, self.others)
        _keep(os.getpid(), self.others)

    def join_connections(self) -> None:
        """Has the calling thread, and what it starts from now on, keep to the connections' cores."""
        _keep(0, self.connections)

    def spread(self) -> None:
        """Lets the calling thread, and what it starts from now on, run on all of them again."""
        _keep(0, self.connections | self.others)


def split_cores(cores: Collection[int], workers: int) -> list[CoreSplit]:
    """Divides the cores among so many workers: neighbours stay together, and no part is two larger than another.

    As the kernel spreads clients over connections' threads, all workers have as many of them.

    Raises:
        OwnCoresError: there are not two for each.
    """
    ordered = sorted(cores)
    least = len(ordered) // workers
    if least < _LEAST_FOR_EACH:
        who = "the worker" if workers == 1 else f"each of {workers} workers"
        raise OwnCoresError(f"expected at least {_LEAST_FOR_EACH} cores for {who}, received {len(ordered)}")
    threads = min(connection_threads(least), least // 2)
    bounds = [len(ordered) * number // workers for number in range(workers + 1)]
    parts = [ordered[begin:end] for begin, end in pairwise(bounds)]
    return [CoreSplit(frozenset(part[:threads]), frozenset(part[threads:])) for part in parts]


def split_own_cores(workers: int) -> list[CoreSplit]:
    """As `split_cores`, of the cores that this process may run on.

    Raises:
        OwnCoresError: as there; a container's limit leaves less than these, so that others have them, too; or this
            process may not choose its cores.
    """
    cores = os.sched_getaffinity(0)
    if (limit := cpu_limit()) < len(cores):
        raise OwnCoresError(f"expected cores of the gateway's alone, received the time of {limit:g} on {len(cores)}")
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        raise OwnCoresError(f"expected to be allowed to choose among cores, received: {error.strerror}") from error
    return split_cores(cores, workers)


def _keep(thread: int, cores: frozenset[int]) -> None:
    """Where the cores are others meanwhile, the kernel has moved the thread to those, and it stays there."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(thread, cores)
