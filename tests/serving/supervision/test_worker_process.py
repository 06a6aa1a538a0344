"""How the supervisor waits for a worker's requests in flight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from serving.control import messages
from serving.control.messages import Traffic
from serving.supervision.worker_process import WorkerProcess

NOTHING = Traffic(0, 0, 0)


class Process:
    """Runs."""

    returncode: int | None = None


class Admin:
    """Gives these answers, one after the other; the process ends with the last, where there is no more to say."""

    def __init__(self, process: Process, answers: Iterator[Traffic | None]) -> None:
        self._process = process
        self._answers = answers
        self.asked = 0

    def traffic(self) -> Traffic:
        self.asked += 1
        answer = next(self._answers, None)
        if answer is None:
            self._process.returncode = 0
            raise TimeoutError
        return answer


class Busy(Admin):
    """Does not answer in time but every third time."""

    def traffic(self) -> Traffic:
        if self.asked % 3:
            self.asked += 1
            raise TimeoutError
        return super().traffic()


class Channel:
    """The worker says that so much goes on over connections that its Envoy passes on, or nothing."""

    def __init__(self, answers: Iterator[Traffic | None]) -> None:
        self._answers = answers
        self.worker: WorkerProcess | None = None

    def send(self, kind: str) -> None:
        assert kind == messages.TRAFFIC
        answer = next(self._answers, NOTHING)
        if answer is not None and self.worker is not None:
            self.worker.take_traffic(answer)


def drained_by(
    kind: type[Admin], *answers: Traffic, passed_on: Sequence[Traffic | None] = ()
) -> tuple[Admin, WorkerProcess]:
    process = Process()
    admin, channel = kind(process, iter(answers)), Channel(iter(passed_on))
    channel.worker = WorkerProcess(1, cast("Any", process), cast("Any", channel), cast("Any", admin), None)
    return admin, channel.worker


async def test_it_waits_until_no_connection_is_open() -> None:
    admin, worker = drained_by(Admin, Traffic(2, 1, 5), Traffic(1, 1, 5), Traffic(0, 0, 5), Traffic(9, 9, 9))
    await worker.drained(quiet_s=3600.0)
    assert admin.asked == 3


async def test_idle_connections_are_not_waited_for_longer_than_for_a_while() -> None:
    admin, worker = drained_by(Admin, Traffic(2, 1, 5), Traffic(1, 0, 5), *[Traffic(1, 0, 5)] * 1000)
    await worker.drained(quiet_s=0.0)
    assert admin.asked == 2


async def test_a_worker_that_is_too_busy_to_answer_is_no_worker_that_has_ended() -> None:
    admin, worker = drained_by(Busy, Traffic(2, 1, 5), Traffic(1, 1, 5), Traffic(0, 0, 5))
    await worker.drained(quiet_s=3600.0)
    assert admin.asked == 7


async def test_what_is_passed_on_counts_too() -> None:
    passed_on = [Traffic(2, 1, 5), Traffic(1, 0, 6), NOTHING]
    admin, worker = drained_by(Admin, *[NOTHING] * 3, Traffic(9, 9, 9), passed_on=passed_on)
    await worker.drained(quiet_s=3600.0)
    assert admin.asked == 3


async def test_a_worker_whose_event_loop_is_busy_is_not_quiet() -> None:
    admin, worker = drained_by(Admin, *[NOTHING] * 3, passed_on=[None, Traffic(1, 1, 1)])
    await worker.drained(quiet_s=3600.0)
    assert admin.asked == 3


async def test_a_worker_that_has_ended_is_waited_for_no_more() -> None:
    _, worker = drained_by(Admin, Traffic(2, 1, 5))
    await worker.drained(quiet_s=3600.0)
