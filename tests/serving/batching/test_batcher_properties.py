"""The batcher under arbitrary arrivals, departures, deadlines and failures, against what must always hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.entry import Arrays
from serving.errors import DeadlineExceededError, InferenceError, InvalidInputError, OverloadedError
from tests.support.batcher_stand import Stand
from tests.support.stepping import turn

MAX_BATCH_SIZE = 4
MAX_QUEUE_ROWS = 12


class Arrive(NamedTuple):
    rows: int
    width: int
    patience_s: int | None


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
    cancelled: set[int] = field(default_factory=set)
    failed_rows: set[float] = field(default_factory=set)

    async def do(self, step: Step) -> None:
        stand = self.stand
        match step:
            case Arrive(rows, width, patience_s):
                deadline = None if patience_s is None else stand.clock.now + patience_s
                first = 1000 * len(self.sizes)
                self.sizes.append(rows)
                self.deadlines.append(deadline)
                await stand.ask(*range(first, first + rows), width=width, deadline=deadline)
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


async def tell(steps: list[Step], *, threaded: bool, batch_timeout_ms: float) -> Story:
    stand = Stand(
        threaded=threaded,
        max_batch_size=MAX_BATCH_SIZE,
        max_queue_rows=MAX_QUEUE_ROWS,
        batch_timeout_ms=batch_timeout_ms,
    )
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
            case OverloadedError():
                assert not {row for batch in stand.batches for row in batch} & set(own_rows)
            case InvalidInputError():
                assert story.sizes[index] > MAX_QUEUE_ROWS
            case InferenceError():
                assert story.failed_rows & set(own_rows)
            case unexpected:
                raise AssertionError(f"request {index}: {unexpected!r}")
    rows_run = [row for batch in stand.batches for row in batch]
    assert rows_run == sorted(rows_run), "first come, first served"
    assert len(rows_run) == len(set(rows_run)), "no row runs twice"
    assert all(1 <= len(batch) <= MAX_BATCH_SIZE for batch in stand.model.batches)
    assert sum(rows for rows, _, _ in stand.observed.batches) == len(rows_run)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.booleans(), st.sampled_from([0.0, 1500.0]))
def test_every_request_is_answered_exactly_once_with_its_own_rows(
    steps: list[Step], threaded: bool, batch_timeout_ms: float
) -> None:
    check(asyncio.run(tell(steps, threaded=threaded, batch_timeout_ms=batch_timeout_ms)))
