"""What a worker knows of the other workers of its gateway, and says to their supervisor."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

from serving.control import messages
from serving.control.channel import Channel
from serving.control.messages import Traffic
from serving.control.readiness import Report, all_answer_for
from serving.errors import UnavailableError
from serving.observability.figures import Figures
from serving.repository.state_changes import StateChanges

_ANSWER_TIMEOUT_S = 10.0


class Peers:
    """The other workers, as their last reports say; a gateway of one worker has none."""

    def __init__(self, number: int, workers: int, channel: Channel, changes: StateChanges) -> None:
        self.reports: dict[int, Report | None] = {other: None for other in range(1, workers + 1) if other != number}
        """By number; None is a worker that is being started for the first time."""
        self._channel = channel
        self._changes = changes
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()

    def answer_for(self, name: str) -> bool:
        """Whether every other worker answers for a model."""
        return all_answer_for(name, self.reports.values())

    async def report(self, own: Callable[[], Report]) -> None:
        """Tells the supervisor what this worker answers for, now and whenever that changes, until cancelled."""
        told: Report | None = None
        while True:
            change = self._changes.next()
            report = own()
            if report != told:
                self._channel.send(messages.REPORT, report)
                told = report
            await change.wait()

    def have_others_look(self) -> None:
        """Has all other workers look for models now, however seldom they do so by themselves."""
        self._channel.send(messages.LOOK)

    async def beat(self, every_s: float) -> None:
        """Tells the supervisor again and again that this event loop turns, until cancelled."""
        while True:
            self._channel.send(messages.BEAT)
            await asyncio.sleep(every_s)

    async def ask(self, document: str) -> Any:
        """What the supervisor knows of all workers, by the name of the document; see serving/supervision/documents.py.

        Raises:
            UnavailableError: no answer in time.
        """
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._channel.send(messages.ASK, [number, document])
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await answer
        except TimeoutError as error:
            raise UnavailableError(f"the supervisor did not answer within {_ANSWER_TIMEOUT_S:g} s") from error
        finally:
            del self._asked[number]

    async def listen(
        self,
        drain: Callable[[], None],
        stop_taking: Callable[[], None],
        figures: Callable[[], Figures],
        look: Callable[[], object],
        traffic: Callable[[], Traffic],
    ) -> None:
        """Follows what the supervisor says; when that is gone, however it died, this process ends too."""
        while (message := await self._channel.receive()) is not None:
            match message.kind, message.content:
                case messages.DRAIN, _:
                    drain()
                case messages.STOP_TAKING, _:
                    stop_taking()
                case messages.PEERS, reports:
                    self.reports = {int(number): report and Report.read(report) for number, report in reports.items()}
                    self._changes.announce()
                case messages.LOOK, _:
                    look()
                case messages.COLLECT, _:
                    self._channel.send(messages.FIGURES, figures())
                case messages.TRAFFIC, _:
                    self._channel.send(messages.TRAFFIC, traffic())
                case messages.ANSWER, (number, document):
                    self._take_answer(number, document)
        os.kill(os.getpid(), signal.SIGTERM)

    def _take_answer(self, number: int, document: Any) -> None:
        answer = self._asked.get(number)
        if answer is not None and not answer.done():
            answer.set_result(document)
