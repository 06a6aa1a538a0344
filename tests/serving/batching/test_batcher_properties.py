"""The batcher under arbitrary arrivals, departures, deadlines and failures, against what must always hold."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.entry import Arrays
from serving.batching.terms import Priority
from serving.errors import DeadlineExceededError, InferenceError, InvalidInputError, OverloadedError
from tests.support.batcher_stand import Stand
from tests.support.stepping import turn

MAX_BATCH_SIZE = 4
MAX_QUEUE_ROWS = 12


class Arrive(NamedTuple):
    rows: int
    width: int
    patience_s: int | None
    priority: Priority = Priority.HIGH
    client: str = ""


class Cancel(NamedTuple):
    which: int


class Advance(NamedTuple):
    seconds: int


class Run(NamedTuple):
    how: Literal["well", "raises", "loses a row"]


Step = Arrive | Cancel | Advance | Run

STEPS = st.lists(
    st.one_of(
        st.builds(Arrive, st.integers(1, 14), st.integers(1, 2), st.none() | st.integers(0, 5)),
        st.builds(Cancel, st.integers(0, 30)),
        st.builds(Advance, st.integers(1, 3)),
        st.builds(Run, st.sampled_from(["well", "well", "well", "raises", "loses a row"])),
    ),
    max_size=40,
)


@dataclass
class Story:
    """What happened: each row carries a number of its own, `1000 × request + row`."""

    stand: Stand
    deadlines: list[float | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    arrivals: list[Arrive] = field(default_factory=list)
    cancelled: set[int] = field(default_factory=set)
    failed_rows: set[float] = field(default_factory=set)

    async def do(self, step: Step) -> None:
        stand = self.stand
        match step:
            case Arrive(rows, width, patience_s, priority, client):
                deadline = None if patience_s is None else stand.clock.now + patience_s
                first = 1000 * len(self.sizes)
                self.sizes.append(rows)
                self.deadlines.append(deadline)
                self.arrivals.append(step)
                await stand.ask(
                    *range(first, first + rows), width=width, deadline=deadline, priority=priority, client=client
                )
            case Cancel(which):
                pending = [index for index, request in enumerate(stand.requests) if not request.done()]
                if pending:
                    leaving = pending[which % len(pending)]
                    self.cancelled.add(leaving)
                    stand.requests[leaving].cancel()
                    await turn()
            case Advance(seconds):
                await stand.advance(seconds)
            case Run(how) if stand.executor.kept:
                stand.model.instead = [self._failing(how)] if how != "well" else []
                await stand.run_batch()

    def _failing(self, how: str) -> Callable[[Arrays], dict[str, np.ndarray]]:
        def fail(inputs: Arrays) -> dict[str, np.ndarray]:
            self.failed_rows.update(inputs["x"][:, 0].tolist())
            if how == "raises":
                raise InferenceError("on purpose")
            return {"y": inputs["x"][1:]}

        return fail


async def tell(steps: list[Step], *, threaded: bool, **settings: Any) -> Story:
    stand = Stand(threaded=threaded, max_batch_size=MAX_BATCH_SIZE, max_queue_rows=MAX_QUEUE_ROWS, **settings)
    story = Story(stand)
    for step in steps:
        await story.do(step)
        assert 0 <= stand.batcher.queued_rows <= MAX_QUEUE_ROWS
    while stand.executor.kept or stand.batcher.queued_rows:
        if stand.executor.kept:
            await story.do(Run("well"))
        await stand.advance(1)
    await turn()
    return story


def check(story: Story) -> None:
    stand = story.stand
    assert stand.batcher.queued_rows == 0
    whole = MAX_BATCH_SIZE if stand.settings.slo_ms is None else 1
    for index, request in enumerate(stand.requests):
        assert request.done(), f"request {index} was never answered"
        own_rows = [1000.0 * index + row for row in range(story.sizes[index])]
        if request.cancelled():
            assert index in story.cancelled
            continue
        match request.exception():
            case None:
                answer = request.result()["y"]
                assert (answer == answer[:, :1]).all()
                assert answer[:, 0].tolist() == own_rows
            case DeadlineExceededError():
                deadline = story.deadlines[index]
                assert deadline is not None
                assert deadline <= stand.clock.now
            case OverloadedError() if story.sizes[index] <= whole:  # parts of others may have run
                assert not {row for batch in stand.batches for row in batch} & set(own_rows)
            case OverloadedError():
                pass
            case InvalidInputError():
                assert story.sizes[index] > MAX_QUEUE_ROWS
            case InferenceError():
                assert story.failed_rows & set(own_rows)
            case unexpected:
                raise AssertionError(f"request {index}: {unexpected!r}")
    rows_run = [row for batch in stand.batches for row in batch]
    assert len(rows_run) == len(set(rows_run)), "no row runs twice"
    in_line: dict[tuple[Priority, str], list[float]] = defaultdict(list)
    for row in rows_run:
        arrival = story.arrivals[int(row) // 1000]
        in_line[arrival.priority, arrival.client].append(row)
    assert all(rows == sorted(rows) for rows in in_line.values()), "first come, first served"
    assert all(1 <= len(batch) <= MAX_BATCH_SIZE for batch in stand.model.batches)
    assert sum(rows for rows, _, _ in stand.observed.batches) == len(rows_run)


@settings(max_examples=300)
@given(STEPS, st.booleans(), st.sampled_from([0.0, 1500.0]))
def test_every_request_is_answered_exactly_once_with_its_own_rows(
    steps: list[Step], threaded: bool, batch_timeout_ms: float
) -> None:
    check(asyncio.run(tell(steps, threaded=threaded, batch_timeout_ms=batch_timeout_ms)))


CROWD = st.lists(
    st.one_of(
        st.builds(
            Arrive,
            st.integers(1, 6),
            st.integers(1, 2),
            st.none() | st.integers(1, 6),
            st.sampled_from(Priority),
            st.sampled_from("abc"),
        ),
        st.builds(Cancel, st.integers(0, 30)),
        st.builds(Advance, st.integers(1, 3)),
        st.builds(Run, st.sampled_from(["well", "well", "well", "raises", "loses a row"])),
    ),
    max_size=60,
)


@settings(max_examples=500)
@given(CROWD, st.integers(1, 3), st.none() | st.integers(500, 8000), st.sampled_from([5000, 1500]))
def test_classes_clients_instances_and_an_slo_change_nothing_of_that(
    steps: list[Step], instances: int, slo_ms: int | None, max_queue_wait_ms: int
) -> None:
    story = asyncio.run(
        tell(steps, threaded=True, instances=instances, slo_ms=slo_ms, max_queue_wait_ms=max_queue_wait_ms)
    )
    check(story)


@settings(max_examples=200)
@given(CROWD)
def test_who_is_let_in_is_answered_within_the_runs_that_the_queue_can_hold(steps: list[Step]) -> None:
    """In bounded time: as many runs as the queue has rows, of which LOW gets one in ten at least."""

    async def tell_and_count() -> None:
        story = Story(Stand(threaded=True, max_batch_size=MAX_BATCH_SIZE, max_queue_rows=MAX_QUEUE_ROWS))
        for step in steps:
            await story.do(step)
        stand = story.stand
        waiting = [request for request in stand.requests if not request.done()]
        for _ in range(10 * MAX_QUEUE_ROWS):
            if all(request.done() for request in waiting):
                break
            await story.do(Arrive(1, 1, None, Priority.HIGH, "a"))
            await story.do(Run("well"))
        assert all(request.done() for request in waiting)
        while stand.executor.kept:
            await story.do(Run("well"))
        check(story)

    asyncio.run(tell_and_count())
