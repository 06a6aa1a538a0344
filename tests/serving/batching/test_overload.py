"""Who is refused at the door, who gives way, and what they are told; the model takes a second for each batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from serving.batching.terms import Priority
from serving.errors import DeadlineExceededError, OverloadedError, PayloadTooLargeError
from tests.support.batcher_stand import Stand, column

NewStand = Callable[..., Stand]


async def busy(new_stand: NewStand, **settings: Any) -> Stand:
    """A stand that knows that batches of one to four rows take a second, and runs one now."""
    stand = new_stand(**{"max_queue_rows": 64, **settings})
    for rows in (1, 2, 4):
        await stand.ask(*range(rows))
        await stand.advance(1)
        await stand.run_batch()
    await stand.ask(99)
    return stand


def reason(task: Any) -> str:
    error = task.exception()
    assert isinstance(error, OverloadedError)
    return str(error)


async def test_a_deadline_that_the_queue_leaves_no_time_for_is_refused_at_once(new_stand: NewStand) -> None:
    stand = await busy(new_stand)
    await stand.ask(1, 2, 3, 4)
    now = stand.clock.now
    late, in_time = await stand.ask(5, deadline=now + 2.5), await stand.ask(6, deadline=now + 3.5)

    assert reason(late) == "the deadline is in 2500.0 ms, the answer would take about 3000.0 ms"
    assert not in_time.done()


async def test_a_deadline_counts_what_the_running_batch_has_done_already(new_stand: NewStand) -> None:
    stand = await busy(new_stand)
    await stand.advance(0.75)
    in_time = await stand.ask(1, deadline=stand.clock.now + 1.3)
    late = await stand.ask(2, deadline=stand.clock.now + 1.2)

    assert not in_time.done()
    assert isinstance(late.exception(), OverloadedError)


async def test_an_idle_model_is_asked_whatever_is_believed_of_its_speed(new_stand: NewStand) -> None:
    stand = await busy(new_stand)
    await stand.advance(1)
    await stand.run_batch()
    task = await stand.ask(1, deadline=stand.clock.now + 0.1)
    await stand.run_batch()  # it has become faster

    assert column(task) == [1]


async def test_nobody_is_refused_for_what_is_not_known_yet(new_stand: NewStand) -> None:
    stand = new_stand()
    await stand.ask(1)
    task = await stand.ask(2, deadline=stand.clock.now + 1e-3)
    await stand.advance(1)

    assert isinstance(task.exception(), DeadlineExceededError)


async def test_a_wait_that_is_too_long_is_refused_with_the_time_that_the_queue_takes(new_stand: NewStand) -> None:
    stand = await busy(new_stand, max_queue_wait_ms=2500)
    let_in = [await stand.ask(*range(first, first + 4)) for first in (10, 20)]
    refused = await stand.ask(5)

    assert not any(task.done() for task in let_in)
    assert reason(refused) == "a request would wait about 3000.0 ms, at most 2500.0 ms are allowed"
    assert refused.exception().retry_after_s == pytest.approx(3.0)  # type: ignore[union-attr]


async def test_what_fits_into_the_next_batch_is_let_in_however_long_that_takes(new_stand: NewStand) -> None:
    stand = await busy(new_stand, max_queue_wait_ms=1)
    tasks = [await stand.ask(value) for value in range(4)]
    refused = await stand.ask(4)

    assert not any(task.done() for task in tasks)
    assert isinstance(refused.exception(), OverloadedError)


async def test_an_slo_lets_in_what_can_be_answered_within_it(new_stand: NewStand) -> None:
    stand = await busy(new_stand, slo_ms=4200)
    stand.batcher._size_limit.observe(1, 0.1)
    stand.batcher._size_limit.observe(2, 0.1)
    let_in = [await stand.ask(*range(4)) for _ in range(3)]
    refused = await stand.ask(1)

    assert not any(task.done() for task in let_in)
    assert isinstance(refused.exception(), OverloadedError)


async def test_an_slo_shorter_than_two_runs_lets_in_only_who_finds_the_model_free(new_stand: NewStand) -> None:
    stand = await busy(new_stand, slo_ms=1500)
    too_early = await stand.ask(1)
    await stand.advance(0.6)
    in_time, low = await stand.ask(2), await stand.ask(3, priority=Priority.LOW)

    assert reason(too_early) == "a request would wait about 1000.0 ms, at most 500.0 ms are allowed"
    assert not in_time.done()
    assert not low.done()


async def test_a_greedy_clients_newest_requests_give_way_to_others(new_stand: NewStand) -> None:
    stand = await busy(new_stand, max_queue_rows=8)
    greedy = [await stand.ask(value, client="greedy") for value in range(8)]
    too_much = await stand.ask(8, client="greedy")
    modest = [await stand.ask(value, client="modest") for value in range(20, 25)]

    assert isinstance(too_much.exception(), OverloadedError)
    assert [task.done() for task in greedy] == [False] * 4 + [True] * 4
    assert reason(greedy[7]) == "gave way to clients that ask for less"
    assert [task.done() for task in modest] == [False] * 4 + [True]
    await stand.run_batch()
    await stand.run_batch()
    assert sorted(stand.batches[-1]) == [0, 1, 20, 21]


async def test_low_priority_gives_way_to_high(new_stand: NewStand) -> None:
    stand = await busy(new_stand, max_queue_rows=4)
    low = [await stand.ask(value, priority=Priority.LOW) for value in range(4)]
    high = await stand.ask(9)
    more_low = await stand.ask(5, priority=Priority.LOW)

    assert [task.done() for task in low] == [False, False, False, True]
    assert not high.done()
    assert isinstance(more_low.exception(), OverloadedError)
    await stand.run_batch()
    await stand.run_batch()
    assert stand.batches[-1] == [9, 0, 1, 2]


async def test_bytes_are_bounded_too(new_stand: NewStand) -> None:
    stand = await busy(new_stand, max_queue_bytes=100)
    fits = await stand.ask(1, width=10)
    refused, never = await stand.ask(2, width=10), await stand.ask(3, width=20)

    assert not fits.done()
    assert reason(refused) == "the queue is full: 80 of 100 bytes wait, 80 more were sent"
    assert isinstance(never.exception(), PayloadTooLargeError)
    assert str(never.exception()) == "expected at most 100 bytes of inputs, received 160"


async def test_the_hint_is_a_second_where_nothing_is_known(new_stand: NewStand) -> None:
    stand = new_stand(max_queue_rows=4)
    await stand.ask(1)
    await stand.ask(1, 2, 3, 4)
    refused = await stand.ask(5)

    assert refused.exception().retry_after_s == 1.0  # type: ignore[union-attr]


async def test_a_request_is_refused_before_it_is_decoded_just_as_after(new_stand: NewStand) -> None:
    stand = await busy(new_stand, max_queue_rows=4)
    stand.batcher.admit(4)
    await stand.ask(1, 2, 3, 4)

    with pytest.raises(OverloadedError, match="the queue is full: 4 of 4 rows wait, 1 more were sent"):
        stand.batcher.admit(1)
