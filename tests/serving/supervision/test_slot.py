"""What a worker is asked, and which of its answers is whose."""

from __future__ import annotations

import asyncio
from typing import cast

from serving.control.messages import COLLECT
from serving.observability.figures import Family, Sample
from serving.supervision.slot import Slot
from serving.supervision.worker_process import WorkerProcess
from tests.support.stepping import turn


class Worker:
    """Takes connections, and remembers what it is told."""

    is_listening = True

    def __init__(self) -> None:
        self.told: list[str] = []
        self.channel = self

    def send(self, kind: str) -> None:
        self.told.append(kind)


def counted(requests: float) -> list[Family]:
    return [Family("requests", "", "counter", [Sample("requests", {}, requests)])]


async def test_who_asks_while_another_waits_gets_what_was_counted_after_that() -> None:
    slot, worker, heard = Slot(1), Worker(), asyncio.get_running_loop().create_future()
    slot.take_start(cast("WorkerProcess", worker), heard)  # type: ignore[arg-type]
    first, second = (asyncio.create_task(slot.collect()) for _ in range(2))
    await turn()
    assert worker.told == [COLLECT, COLLECT]

    slot.take_figures(counted(1))
    await first
    assert not second.done()
    slot.take_figures(counted(2))
    await second
    assert slot.last_figures == counted(2)


async def test_nobody_waits_for_a_process_that_has_ended() -> None:
    slot, worker, heard = Slot(1), Worker(), asyncio.get_running_loop().create_future()
    slot.take_start(cast("WorkerProcess", worker), heard)  # type: ignore[arg-type]
    waiting = [asyncio.create_task(slot.collect()) for _ in range(2)]
    await turn()
    assert worker.told == [COLLECT, COLLECT]

    slot.take_figures(counted(1))
    slot.take_end()
    await asyncio.gather(*waiting)
    assert slot.ended_figures == counted(1)
