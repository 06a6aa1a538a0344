"""How the supervisor waits for a worker's requests in flight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from serving.control import messages
from serving.control.messages import Traffic
from serving.supervision.worker_process import WorkerProcess

NOTHING = Traffic(0, 0, 0)


class Process:
    """Runs."""

    returncode: int | None = None


class Channel:
    """The worker gives these answers, one after the other, None where it is busy, and ends with the last."""

    def __init__(self, process: Process, answers: Iterator[Traffic | None]) -> None:
        self._process = process
        self._answers = answers
        self.worker: WorkerProcess | None = None
        self.asked = 0

    def send(self, kind: str) -> None:
        assert kind == messages.TRAFFIC
        assert self.worker is not None
        self.asked += 1
        answer = next(self._answers, NOTHING._replace(in_flight=-1))
        if answer is None:
            return
        if answer.in_flight < 0:
            self._process.returncode = 0
        self.worker.take_traffic(answer)


def drained_by(*answers: Traffic | None) -> tuple[Channel, WorkerProcess]:
    process = Process()
    channel = Channel(process, iter(answers))
    channel.worker = WorkerProcess(1, cast("Any", process), cast("Any", channel))
    return channel, channel.worker


async def test_it_waits_until_no_connection_is_open() -> None:
    channel, worker = drained_by(Traffic(2, 1, 5), Traffic(1, 1, 5), Traffic(0, 0, 5), Traffic(9, 9, 9))
    await worker.drained(quiet_s=3600.0)
    assert channel.asked == 3


async def test_a_connection_that_comes_late_is_waited_for() -> None:
    channel, worker = drained_by(Traffic(1, 0, 5), Traffic(1, 1, 6), Traffic(0, 0, 6), Traffic(9, 9, 9))
    await worker.drained(quiet_s=3600.0)
    assert channel.asked == 3


async def test_idle_connections_are_not_waited_for_longer_than_for_a_while() -> None:
    channel, worker = drained_by(Traffic(2, 1, 5), *[Traffic(1, 0, 5)] * 1000)
    await worker.drained(quiet_s=0.0)
    assert channel.asked == 2


async def test_a_worker_that_is_too_busy_to_answer_is_not_quiet() -> None:
    channel, worker = drained_by(Traffic(1, 0, 1), None, None, NOTHING, Traffic(9, 9, 9))
    await worker.drained(quiet_s=3600.0)
    assert channel.asked == 4


async def test_a_worker_that_has_ended_is_waited_for_no_more() -> None:
    channel, worker = drained_by(Traffic(2, 1, 5))
    await worker.drained(quiet_s=3600.0)
    assert channel.asked == 2
