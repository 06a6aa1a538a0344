"""How many cores this process may use: the machine's, bounded by its affinity and its container's CPU limit."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(cpu_max: Path = _CPU_MAX) -> int:
    """At least one; part of a core counts as one."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), cpu_limit(cpu_max))))


def cpu_limit(cpu_max: Path = _CPU_MAX) -> float:
    """Seconds of processor time that this process' container gets in a second; infinite without a limit.

    `cpu_max` is the cgroup's file (v2): quota and period in microseconds, or `max` without a limit. Source:
    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    try:
        quota, period = cpu_max.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def threads_for_each(workers: int, cores: int) -> int:
    """Threads that each of `workers` processes runs a model with, so that all together keep the cores busy once."""
    return max(1, cores // workers)
