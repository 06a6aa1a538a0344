"""Requests that come one by one are answered where they stand; as soon as several come together, they are batched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serving.batching.entry import Arrays
from serving.batching.terms import Terms
from serving.errors import DeadlineExceededError, InvalidInputError, UnavailableError
from tests.support.batcher_stand import Stand, Upstream, column
from tests.support.stepping import turn

NewStand = Callable[..., Stand]


def answer_at_once(stand: Stand, *values: float, deadline: float | None = None) -> list[float] | None:
    """What a request is answered without another turn of the loop; None if it has to wait for one."""
    request = stand.batcher.submit({"x": np.float64(values)[:, np.newaxis]}, len(values), Terms(deadline))
    try:
        request.send(None)
    except StopIteration as answered:
        rows: list[float] = answered.value["y"][:, 0].tolist()
        return rows
    request.close()
    return None


@pytest.fixture
async def quiet(new_stand: NewStand) -> Stand:
    """A batcher whose last batch had one request."""
    stand = new_stand(threaded=False)
    assert column(await stand.ask(0)) == [0]
    return stand


async def test_one_after_the_other_they_need_no_other_turn_of_the_loop(quiet: Stand) -> None:
    assert answer_at_once(quiet, 1) == [1]
    await turn()
    assert answer_at_once(quiet, 2, 3) == [2, 3]
    assert quiet.batches == [[0], [1], [2, 3]]
    assert quiet.observed.batches == [(1, 1, 0.0), (1, 1, 0.0), (2, 1, 0.0)]


async def test_those_that_come_in_the_same_turn_share_a_batch(quiet: Stand) -> None:
    tasks = [asyncio.create_task(quiet.batcher.submit({"x": np.float64([[value]])}, 1)) for value in (1, 2, 3, 4)]
    await turn()

    assert quiet.batches == [[0], [1], [2, 3, 4]]
    assert [column(task) for task in tasks] == [[1], [2], [3], [4]]
    assert answer_at_once(quiet, 5) is None, "several came together last time"
    await turn()


@pytest.mark.parametrize("settings", [{"batch_timeout_ms": 100.0}, {"inline_limit_us": 0.0}, {"max_batch_size": 1}])
async def test_what_has_to_wait_or_to_be_split_or_to_run_elsewhere_does_so(
    new_stand: NewStand, settings: dict[str, Any]
) -> None:
    stand = new_stand(threaded=False)
    await stand.ask(0)
    stand.reconfigure(**settings)
    assert answer_at_once(stand, 1, 2) is None


async def test_a_passed_deadline_is_refused_all_the_same(quiet: Stand) -> None:
    with pytest.raises(DeadlineExceededError):
        answer_at_once(quiet, 1, deadline=quiet.clock.now)
    assert answer_at_once(quiet, 1, deadline=quiet.clock.now + 1) == [1]
    assert quiet.batches == [[0], [1]]


async def test_padding_is_not_answered(new_stand: NewStand) -> None:
    stand = new_stand(threaded=False, allowed_batch_sizes=(2, 4))
    await stand.ask(0)
    assert answer_at_once(stand, 1, 2, 3) == [1, 2, 3]
    assert stand.batches == [[0, 0], [1, 2, 3, 1]]


async def test_the_models_refusal_is_the_requests(quiet: Stand) -> None:
    def refuse(_: Arrays) -> dict[str, np.ndarray]:
        raise InvalidInputError("nobody may send that")

    quiet.model.instead = [refuse]
    with pytest.raises(InvalidInputError, match="nobody may send that"):
        answer_at_once(quiet, 1)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def before(new_stand: NewStand, upstream: Upstream) -> Stand:
    """A batcher before another server, whose last batch had one request."""
    stand = new_stand(run=upstream.run)
    task = await stand.ask(0)
    await upstream.answer(0)
    assert column(task) == [0]
    return stand


async def test_another_server_is_asked_without_another_turn_of_the_loop(before: Stand, upstream: Upstream) -> None:
    deadline = before.clock.now + 5
    request = before.batcher.submit({"x": np.float64([[1]])}, 1, Terms(deadline))
    waits_for = request.send(None)
    assert upstream.calls[1:] == [([1.0], deadline)]
    queued = [await before.ask(value) for value in (2, 3)]
    assert len(upstream.calls) == 2, "the server is busy"
    await upstream.answer(1)
    assert waits_for.done()
    with pytest.raises(StopIteration) as answered:
        request.send(None)
    assert answered.value.value["y"].tolist() == [[1]]
    await turn()
    assert upstream.calls[2:] == [([2.0, 3.0], None)]
    await upstream.answer(2)
    assert [column(task) for task in queued] == [[2], [3]]
    assert [(rows, requests) for rows, requests, _ in before.observed.batches] == [(1, 1), (1, 1), (2, 2)]


async def test_a_request_that_is_cancelled_gives_up_what_only_it_waits_for(before: Stand, upstream: Upstream) -> None:
    task, queued = await before.ask(1), await before.ask(2)
    task.cancel()
    await turn()
    assert upstream.answers[1].cancelled()
    assert upstream.calls[2:] == [([2.0], None)]
    await upstream.answer(2)
    assert column(queued) == [2]


async def test_what_another_server_fails_with_is_the_requests(before: Stand, upstream: Upstream) -> None:
    task = await before.ask(1)
    await upstream.fail(1, UnavailableError("no server answers"))
    with pytest.raises(UnavailableError, match="no server answers"):
        task.result()
    task = await before.ask(2)
    await upstream.answer(2)
    assert column(task) == [2]
