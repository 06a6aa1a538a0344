"""The open loop: nothing waits for an answer, and a server that stalls cannot hide.

Nothing here depends on the clock's speed: the servers below answer when something has happened, not after some time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from loadtest.apis import APIS, Request, make_requests
from loadtest.dispatcher import Dispatcher
from loadtest.images import Images, random_images
from loadtest.recording import Recorder, Recording
from loadtest.sending import SendError
from loadtest.target import Target
from serving.signatures import TensorSpec

TARGET = Target("m", TensorSpec("x", "uint8", (None, 2, 2)), TensorSpec("y", "float32", (None, 1)))
IMAGES: Images = random_images(TARGET.input, seed=0)
REQUEST: Request = make_requests(APIS["rest-predict"], TARGET, IMAGES, 1, 1)[0]
RIGHT = b'{"predictions": [[0.5]]}'


class FakeSender:
    """Answers as `answer` says, which is given the number of the request."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        self._answer = answer
        self.sent = 0

    def has_free_connection(self) -> bool:
        return True

    def send(self, request: Request, timeout_s: float) -> bytes:
        self.sent += 1
        return self._answer(self.sent)

    def close(self) -> None:
        """Has nothing to close."""


def run(sender: FakeSender, times: list[float]) -> Recording:
    recorder, recording = Recorder(1), Recording()
    dispatcher = Dispatcher({"rest": sender}, TARGET, recorder, 30.0, lambda *_: None)
    with gevent.Timeout(120):
        dispatcher.run(times, itertools.repeat(REQUEST), time.monotonic())
    assert dispatcher.in_flight == 0
    recording.add(recorder.take())
    return recording


def test_a_server_that_freezes_shows_in_every_request_that_was_due_meanwhile() -> None:
    """The freeze ends once 50 requests have been sent into it: one at a time would wait for ever."""
    thawed = Event()
    thawed_at = 0.0
    begin = time.monotonic()

    def answer(number: int) -> bytes:
        nonlocal thawed_at
        if 100 <= number < 150:
            if number == 149:
                thawed_at = time.monotonic() - begin
                thawed.set()
            thawed.wait()
        return RIGHT

    times = [number / 400 for number in range(1, 1001)]
    sender = FakeSender(answer)
    recording = run(sender, times)
    assert sender.sent == 1000
    latencies = sorted(
        latency for window in recording.windows.values() for latency in _values(window.latencies)
    )  # milliseconds
    assert len(latencies) == 1000
    # The first that froze was due 49 gaps before the last, and waited at least so long; likewise the others. So p99,
    # the tenth from the end, was frozen for at least 39 gaps of 2.5 ms.
    frozen_ms = 1000 * (times[148] - times[99])
    assert latencies[-1] >= 0.99 * frozen_ms
    assert latencies[989] >= 0.99 * 39 * 2.5
    assert thawed_at > 0


def test_requests_go_out_in_their_order_and_none_before_its_time() -> None:
    seen: list[float] = []
    begin = time.monotonic()

    def answer(_: int) -> bytes:
        seen.append(time.monotonic() - begin)
        return RIGHT

    times = [0.05, 0.1, 0.1, 0.2]
    recording = run(FakeSender(answer), times)
    assert all(at >= due - 0.001 for at, due in zip(seen, times, strict=True))
    assert sum(window.due for window in recording.windows.values()) == 4


def test_a_schedule_that_lies_in_the_past_is_sent_at_once_and_its_lag_is_seen() -> None:
    recording = run(FakeSender(lambda _: RIGHT), [-5.0] * 100)
    (window,) = (one for one in recording.windows.values() if one.due)
    assert (window.due, window.late, window.right_answers) == (100, 100, 100)
    assert window.lags.get_min_value() >= 4_900_000
    assert window.latencies.get_min_value() >= 4_900_000


def test_refusals_time_outs_and_wrong_answers_are_counted_by_kind() -> None:
    def answer(number: int) -> bytes:
        match number % 4:
            case 0:
                raise SendError("HTTP 503", "busy")
            case 1:
                raise SendError("timed out", "nothing came", timed_out=True)
            case 2:
                return b'{"predictions": [[0.5], [0.5]]}'
            case _:
                return RIGHT

    recording = run(FakeSender(answer), [0.0] * 40)
    window = recording.windows[0]
    assert window.errors == {"HTTP 503": 10, "timed out": 10, "wrong answer": 10}
    assert window.texts["wrong answer"] == "expected scores of shape [1, 1], received [2, 1]"
    assert window.right_answers == 10
    assert window.latencies.get_total_count() == 20


def test_more_than_can_be_held_in_memory_is_not_sent_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.dispatcher.MAX_IN_FLIGHT", 10)
    thawed = Event()
    recorder, recording = Recorder(1), Recording()
    sender = FakeSender(lambda _: thawed.wait() and RIGHT)
    dispatcher = Dispatcher({"rest": sender}, TARGET, recorder, 30.0, lambda *_: None)
    running = gevent.spawn(dispatcher.run, [0.0] * 25, itertools.repeat(REQUEST), time.monotonic())
    while sender.sent < 10:
        gevent.sleep(0.01)
    thawed.set()
    running.get(timeout=120)
    recording.add(recorder.take())
    assert recording.windows[0].errors == {"not sent": 15}
    assert recording.windows[0].right_answers == 10


def test_what_is_in_flight_can_be_abandoned() -> None:
    recorder = Recorder(1)
    sender = FakeSender(lambda _: Event().wait() and RIGHT)
    dispatcher = Dispatcher({"rest": sender}, TARGET, recorder, 30.0, lambda *_: None)
    running = gevent.spawn(dispatcher.run, [0.0] * 5, itertools.repeat(REQUEST), time.monotonic())
    while sender.sent < 5:
        gevent.sleep(0.01)
    assert dispatcher.abandon() == 5
    running.get(timeout=120)


def _values(histogram: object) -> list[float]:
    """Milliseconds, each as often as it was counted."""
    return [
        step.value_iterated_to / 1000
        for step in histogram.get_recorded_iterator()  # type: ignore[attr-defined]
        for _ in range(step.count_added_in_this_iter_step)
    ]
