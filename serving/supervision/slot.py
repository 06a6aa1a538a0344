"""A worker's place in the gateway: its number stays, its process may change."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from serving.control.messages import COLLECT
from serving.control.pulse import Pulse
from serving.control.readiness import Report
from serving.observability.figures import Family, Figures, added_up, surviving
from serving.supervision.worker_process import WorkerProcess

_COLLECT_TIMEOUT_S = 5.0


class Slot:
    """One worker, over all its processes."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.report: Report | None = None
        self.heard = asyncio.Event()
        """Its process has reported, or ended."""
        self.pulse = Pulse()
        """Its process' signs of life."""
        self.conversation: asyncio.Task[None] | None = None
        """Hears what its process says, until that ends."""
        self.has_served = False
        self.restarts = 0
        self.crashes_in_a_row = 0
        self.last_figures: Figures = []
        """What its process sent last."""
        self.ended_figures: Figures = []
        """What its ended processes had counted when they were asked for the last time."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        """For the answers to what its process was asked, in the order in which they come."""

    @property
    def serving(self) -> WorkerProcess | None:
        """Its process, where that takes connections."""
        return self.process if self.process is not None and self.process.is_listening else None

    @property
    def state(self) -> str:
        """For people: serving, starting for the first time, or restarting after a crash."""
        if self.serving is not None:
            return "serving"
        return "restarting" if self.has_served else "starting"

    async def collect(self) -> None:
        """Renews `last_figures`, where the process answers in time: with what it had counted when it was asked."""
        if self.serving is None:
            return
        answered = asyncio.get_running_loop().create_future()
        self._waiting.append(answered)
        self.serving.channel.send(COLLECT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COLLECT_TIMEOUT_S):
                await answered

    def take_start(self, process: WorkerProcess, conversation: asyncio.Task[None]) -> None:
        """A process was started."""
        self.process, self.conversation, self.pulse = process, conversation, Pulse()
        self.heard.clear()

    def take_report(self, report: Report) -> None:
        """The process has said what it answers for."""
        self.report = report
        self.heard.set()

    def take_figures(self, figures: list[Family]) -> None:
        """The process has sent its figures."""
        self.last_figures = figures
        if self._waiting:
            _release(self._waiting.popleft())

    def take_end(self) -> None:
        """The process has ended, and nothing more comes from it."""
        self.ended_figures = added_up([self.ended_figures, surviving(self.last_figures)])
        self.last_figures = []
        self.report = None
        self.heard.set()
        while self._waiting:
            _release(self._waiting.popleft())


def _release(waiting: asyncio.Future[None]) -> None:
    """Unless it has given up waiting."""
    if not waiting.done():
        waiting.set_result(None)
