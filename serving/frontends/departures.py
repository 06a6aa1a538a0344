"""Notices clients that have left while their request was waiting, and gives up what nobody will read.

pyvoy tells that a client is gone only to who calls `receive`, and does not block there once the body has ended, as
serving/http2/ does not. Asking takes a moment, so only requests are asked for that have been waiting for some time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import islice
from typing import Any, TypeVar

from serving.frontends.http import ClientGoneError, Receive

LOOK_EVERY_S = 0.1
_MAX_ASKED = 64
"""Of one look, so that a full queue does not take the event loop; the next look goes on with the others."""

AnswerT = TypeVar("AnswerT")


class Departures:
    """The requests that wait for their answers, on one event loop."""

    def __init__(self, every_s: float = LOOK_EVERY_S) -> None:
        self._every_s = every_s
        self._waiting: dict[asyncio.Task[Any], Receive] = {}
        self._seen: set[asyncio.Task[Any]] = set()
        self._left: set[asyncio.Task[Any]] = set()
        self._next_look: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def nobody_waits(self) -> bool:
        """Whether no request waits for its answer."""
        return not self._waiting

    async def watch(self, receive: Receive, work: Awaitable[AnswerT]) -> AnswerT:
        """The work's result; to be called once the request's body has been read.

        Raises:
            ClientGoneError: the client left first, and the work is cancelled.
        """
        task = asyncio.current_task()
        if task is None:  # no loop runs a task without being asked to
            return await work
        self._waiting[task] = receive
        if self._next_look is None:
            self._arm()
        try:
            return await work
        except asyncio.CancelledError:
            if task not in self._left:
                raise
            task.uncancel()
            raise ClientGoneError from None
        finally:
            self._waiting.pop(task, None)
            self._left.discard(task)

    def _arm(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(self._every_s, self._look)

    def _look(self) -> None:
        long_waiting = [task for task in self._waiting if task in self._seen]
        self._seen = set(self._waiting)
        self._next_look = None
        if self._waiting:
            self._arm()
        if long_waiting and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._ask(long_waiting))

    async def _ask(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in islice(tasks, _MAX_ASKED):
            receive = self._waiting.pop(task, None)
            if receive is None:
                continue
            self._waiting[task] = receive  # behind those that were not asked for yet
            message = await receive()
            if message["type"] == "http.disconnect" and task in self._waiting:
                self._left.add(task)
                task.cancel()
