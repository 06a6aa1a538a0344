"""Shorter turns on the processor than the kernel gives by itself: who wakes waits less for who runs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from pathlib import Path
from types import MappingProxyType

_SCHED_SETATTR = MappingProxyType({"x86_64": 314, "aarch64": 274})
"""The numbers of sched_setattr(2), which the C libraries of most systems have no function for."""
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period."""
_SHORT_NS = 400_000
"""Of the kernel's 100,000 to 100,000,000. Even shorter ones gain nothing more, and cost uploads of images a tenth."""
_USUAL_NS = 0


def take_short_turns() -> None:
    """Has the threads of this process, and all that they start, give way after 0.4 ms of work.

    A turn is some milliseconds else, and what wakes for one client waits for what works for another: under a flood the
    slow answers of other clients took 1.2 to 1.4 times as long (docs/performance.md). Where the kernel knows no such
    turns, as Linux before 6.12, or refuses, all stays as it is.
    Source: https://docs.kernel.org/scheduler/sched-eevdf.html
    """
    for thread in Path("/proc/self/task").glob("*"):
        _set_turn(int(thread.name), _SHORT_NS)


def take_usual_turns() -> None:
    """Undoes what this process has from the one that started it, while it has one thread."""
    _set_turn(0, _USUAL_NS)


def _set_turn(thread: int, turn_ns: int) -> None:
    number = _SCHED_SETATTR.get(platform.machine())
    with contextlib.suppress(OSError):  # the thread has ended, or a container's rules forbid to ask
        if number is not None and os.sched_getscheduler(thread) == os.SCHED_OTHER:
            nice = os.getpriority(os.PRIO_PROCESS, thread)
            attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, turn_ns, 0, 0)
            ctypes.CDLL(None).syscall(number, thread, attributes, 0)
