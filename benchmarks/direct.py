"""What a server's work costs without a server: a function called in a loop, in this process, on the same cores."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.load import Load
from benchmarks.processes import Usage

TOOL = "a loop"


def run_directly(call: Callable[[], object], in_flight: int, seconds: float, *, threads: int = 1) -> Load:
    """Calls over and over for `seconds`, in at most so many threads as are in flight and there are cores."""
    threads = min(threads, in_flight, len(os.sched_getaffinity(0)))
    since = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        loops = [pool.submit(_durations_s, call, since + seconds) for _ in range(threads)]
        durations_ms = sorted(duration * 1e3 for loop in loops for duration in loop.result())
    took = time.perf_counter() - since
    return Load(
        tool=TOOL,
        requests=len(durations_ms),
        failed=0,
        per_second=len(durations_ms) / took,
        mean_ms=statistics.fmean(durations_ms),
        p50_ms=durations_ms[len(durations_ms) // 2],
        p99_ms=durations_ms[len(durations_ms) * 99 // 100],
    )


def own_usage() -> Usage:
    """The processor time of this process alone; its memory says nothing about the loop."""
    times = os.times()
    return Usage(times.user + times.system, 0)


def _durations_s(call: Callable[[], object], until: float) -> list[float]:
    """At least one call."""
    durations: list[float] = []
    before = time.perf_counter()
    while not durations or before < until:
        call()
        after = time.perf_counter()
        durations.append(after - before)
        before = after
    return durations
