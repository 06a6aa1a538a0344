"""Several batches at once, in threads or on another server, and settings that change meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.errors import InferenceError, InvalidInputError, UnavailableError
from tests.support.batcher_stand import Stand, Upstream, column
from tests.support.stepping import turn

NewStand = Callable[..., Stand]


async def test_as_many_batches_run_at_once_as_there_are_instances(new_stand: NewStand) -> None:
    stand = new_stand(instances=2)
    tasks = [await stand.ask(value) for value in range(6)]

    assert stand.executor.kept == 2
    assert stand.batcher.queued_rows == 4
    await stand.run_batch()
    assert stand.executor.kept == 2
    await stand.run_batch()
    await stand.run_batch()
    assert stand.batches == [[0], [1], [2, 3, 4, 5]]
    assert [column(task) for task in tasks] == [[value] for value in range(6)]


async def test_another_server_is_awaited_and_told_until_when_somebody_waits(new_stand: NewStand) -> None:
    upstream = Upstream()
    stand = new_stand(run=upstream.run, instances=2, threaded=False)
    now = stand.clock.now
    first = await stand.ask(1, deadline=now + 5)
    second = await stand.ask(2)
    queued = [await stand.ask(3, deadline=now + 7), await stand.ask(4, deadline=now + 6)]

    assert upstream.calls == [([1.0], now + 5), ([2.0], None)]
    await upstream.answer(1)
    assert column(second) == [2]
    assert upstream.calls[2] == ([3.0, 4.0], now + 7)
    await upstream.answer(0)
    await upstream.answer(2)
    assert [column(task) for task in (first, *queued)] == [[1], [3], [4]]
    assert stand.executor.kept == 0


async def test_what_another_server_fails_with_reaches_its_own_batch_only(new_stand: NewStand) -> None:
    upstream = Upstream()
    stand = new_stand(run=upstream.run, instances=3)
    tasks = [await stand.ask(value) for value in range(3)]
    await upstream.fail(0, UnavailableError("no server answers"))
    await upstream.fail(1, RuntimeError("not for clients: 10.0.0.7"))
    await upstream.answer(2)

    assert isinstance(tasks[0].exception(), UnavailableError)
    assert isinstance(tasks[1].exception(), InferenceError)
    assert str(tasks[1].exception()) == "the model failed: RuntimeError"
    assert column(tasks[2]) == [2]


async def test_when_another_server_refuses_an_input_each_request_is_sent_alone(new_stand: NewStand) -> None:
    upstream = Upstream()
    stand = new_stand(run=upstream.run)
    await stand.ask(0)
    tasks = [await stand.ask(value) for value in (1, 2)]
    await upstream.answer(0)
    await upstream.fail(1, InvalidInputError("somebody sent a 2"))
    await upstream.answer(2)
    await upstream.fail(3, InvalidInputError("a 2"))

    assert [call for call, _ in upstream.calls] == [[0.0], [1.0, 2.0], [1.0], [2.0]]
    assert column(tasks[0]) == [1]
    assert str(tasks[1].exception()) == "a 2"


async def test_a_batch_is_padded_with_its_first_row_and_the_padding_is_cut_off(new_stand: NewStand) -> None:
    stand = new_stand(allowed_batch_sizes=(2, 4))
    alone, three = await stand.ask(7), [await stand.ask(value) for value in (1, 2, 3)]
    await stand.run_batch()
    await stand.run_batch()

    assert stand.batches == [[7, 7], [1, 2, 3, 1]]
    assert [column(task) for task in (alone, *three)] == [[7], [1], [2], [3]]
    assert [rows for rows, _, _ in stand.observed.batches] == [1, 3]


async def test_settings_change_while_requests_wait(new_stand: NewStand) -> None:
    stand = new_stand(max_queue_rows=8)
    for value in range(9):
        await stand.ask(value)
    stand.reconfigure(max_batch_size=8, instances=2, max_queue_rows=16)
    await turn()

    assert stand.executor.kept == 2
    stand.reconfigure(max_batch_size=2)
    late = [await stand.ask(value) for value in range(10, 13)]
    while stand.executor.kept:
        await stand.run_batch()
    assert stand.batches == [[0], list(range(1, 9)), [10, 11], [12]]
    assert [column(task) for task in late] == [[10], [11], [12]]


async def test_who_no_longer_waits_for_more_rows_starts_at_once(new_stand: NewStand) -> None:
    stand = new_stand(threaded=False, batch_timeout_ms=60_000)
    task = await stand.ask(1)
    assert not task.done()
    stand.reconfigure(batch_timeout_ms=0)
    await turn()
    assert column(task) == [1]


async def test_a_batch_that_is_cancelled_with_the_loop_leaves_nobody_waiting(new_stand: NewStand) -> None:
    upstream = Upstream()
    stand = new_stand(run=upstream.run)
    task = await stand.ask(1)
    for work in stand.batcher._runner._working:
        work.cancel()
    await turn()
    with pytest.raises(UnavailableError, match="the gateway is stopping"):
        task.result()
