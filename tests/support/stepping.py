"""Threads and clocks that a test moves on by hand, so that nothing depends on how fast the machine is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any


class HandExecutor(Executor):
    """Keeps what it is given until the test runs it, in the test's own thread.

    `holds` tells which functions are kept; all others run at once.
    """

    def __init__(self, holds: Callable[[Callable[..., Any]], bool] = lambda _: True) -> None:
        self.holds = holds
        self._kept: deque[Callable[[], None]] = deque()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        work = partial(_run_into, future, partial(fn, *args, **kwargs))
        if self.holds(fn):
            self._kept.append(work)
        else:
            work()
        return future

    @property
    def kept(self) -> int:
        """How many calls wait for the test."""
        return len(self._kept)

    def run_next(self) -> None:
        """Runs the call that waits longest."""
        self._kept.popleft()()


class HandClock:
    """The event loop's time, which stands still until the test moves it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = 1000.0
        loop.time = lambda: self.now  # type: ignore[method-assign]


async def turn(times: int = 12) -> None:
    """Lets the event loop do everything that is ready, and what that makes ready."""
    for _ in range(times):
        await asyncio.sleep(0)


def _run_into(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 -- whoever asked for the result gets it
        future.set_exception(error)
