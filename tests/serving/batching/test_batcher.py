"""The batcher: who shares a batch, who gets which rows, and what happens to those who leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serving.batching.batcher import Batcher
from serving.batching.entry import Arrays
from serving.batching.policy import CostModel
from serving.batching.settings import BatchSettings
from serving.errors import (
    DeadlineExceededError,
    InferenceError,
    InvalidInputError,
    OverloadedError,
    UnavailableError,
)
from tests.support.batcher_stand import EchoModel, Observed, Stand, column
from tests.support.stepping import turn

NewStand = Callable[..., Stand]


def broken(_: Arrays) -> dict[str, np.ndarray]:
    raise RuntimeError("not for clients: /srv/models/secret")


async def test_one_cancelled_request_in_a_batch_of_four_leaves_the_other_three_answered(new_stand: NewStand) -> None:
    stand = new_stand()
    await stand.ask(0)  # runs, so that the next four wait for one batch
    four = [await stand.ask(value) for value in (1, 2, 3, 4)]
    await stand.run_batch()
    four[1].cancel()  # while its batch runs
    await stand.run_batch()

    assert stand.batches == [[0], [1, 2, 3, 4]]
    assert four[1].cancelled()
    assert [column(four[index]) for index in (0, 2, 3)] == [[1], [3], [4]]


async def test_a_request_cancelled_in_the_queue_is_never_run(new_stand: NewStand) -> None:
    stand = new_stand()
    await stand.ask(0)
    four = [await stand.ask(value) for value in (1, 2, 3, 4)]
    four[0].cancel()
    await stand.run_batch()
    await stand.run_batch()

    assert stand.batches == [[0], [2, 3, 4]]
    assert [column(task) for task in four[1:]] == [[2], [3], [4]]


async def test_an_idle_batcher_runs_what_arrives_in_one_turn_of_the_loop_together(new_stand: NewStand) -> None:
    stand = new_stand(threaded=False)
    tasks = [asyncio.create_task(stand.batcher.submit({"x": np.float64([[value]])}, 1)) for value in (1, 2, 3, 4, 5)]
    await turn()

    assert stand.batches == [[1, 2, 3, 4], [5]]
    assert [column(task) for task in tasks] == [[1], [2], [3], [4], [5]]


async def test_short_runs_stay_on_the_event_loop(new_stand: NewStand) -> None:
    stand = new_stand(threaded=False)
    task = await stand.ask(7, 8)

    assert column(task) == [7, 8]
    assert stand.executor.kept == 0


async def test_while_a_batch_runs_in_a_thread_no_other_starts(new_stand: NewStand) -> None:
    stand = new_stand()
    for value in range(6):
        await stand.ask(value)

    assert stand.executor.kept == 1
    await stand.run_batch()
    assert stand.executor.kept == 1
    assert stand.batcher.queued_rows == 1


async def test_requests_of_different_shapes_do_not_share_a_batch(new_stand: NewStand) -> None:
    stand = new_stand()
    await stand.ask(0)
    tasks = [await stand.ask(value, width=width) for value, width in ((1, 2), (2, 2), (3, 3), (4, 2))]
    for _ in range(4):
        await stand.run_batch()

    assert stand.batches == [[0], [1, 2], [3], [4]]
    assert [column(task) for task in tasks] == [[1], [2], [3], [4]]


async def test_a_request_over_the_maximum_is_split_and_its_rows_come_back_in_order(new_stand: NewStand) -> None:
    stand = new_stand()
    large = await stand.ask(*range(10))
    for _ in range(3):
        await stand.run_batch()

    assert stand.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert column(large) == list(range(10))


async def test_the_last_part_of_a_split_request_shares_its_batch(new_stand: NewStand) -> None:
    stand = new_stand()
    large, small = await stand.ask(0, 1, 2, 3, 4), await stand.ask(9)
    await stand.run_batch()
    await stand.run_batch()

    assert stand.batches == [[0, 1, 2, 3], [4, 9]]
    assert (column(large), column(small)) == ([0, 1, 2, 3, 4], [9])


async def test_when_one_part_of_a_split_request_fails_those_that_still_wait_are_not_run(new_stand: NewStand) -> None:
    stand = new_stand()
    large, small = await stand.ask(*range(10)), await stand.ask(50)
    stand.model.instead = [broken]
    for _ in range(3):
        await stand.run_batch()

    assert stand.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [50]]  # the second part had started
    assert isinstance(large.exception(), InferenceError)
    assert column(small) == [50]


async def test_a_cancelled_split_request_takes_its_parts_along(new_stand: NewStand) -> None:
    stand = new_stand()
    large, small = await stand.ask(*range(10)), await stand.ask(50)
    large.cancel()
    await turn()

    assert stand.batcher.queued_rows == 1
    await stand.run_batch()
    await stand.run_batch()
    assert stand.batches == [[0, 1, 2, 3], [50]]
    assert column(small) == [50]


async def test_a_full_queue_refuses_at_once_and_takes_requests_again_when_there_is_room(new_stand: NewStand) -> None:
    stand = new_stand(max_queue_rows=4)
    await stand.ask(0)
    await stand.ask(1, 2, 3)
    refused, fits = await stand.ask(4, 5), await stand.ask(6)

    assert isinstance(refused.exception(), OverloadedError)
    assert str(refused.exception()) == "the queue is full: 3 of 4 rows wait, 2 more were sent"
    await stand.run_batch()
    late = await stand.ask(7, 8, 9)
    await stand.run_batch()
    await stand.run_batch()
    assert [column(task) for task in (fits, late)] == [[6], [7, 8, 9]]


async def test_rows_of_cancelled_requests_make_room_before_their_turn_comes(new_stand: NewStand) -> None:
    stand = new_stand(max_queue_rows=4)
    await stand.ask(0)
    abandoned = await stand.ask(1, 2, 3, 4)
    abandoned.cancel()
    await turn()
    await stand.ask(5, 6, 7, 8)
    await stand.run_batch()
    await stand.run_batch()

    assert stand.batches == [[0], [5, 6, 7, 8]]


async def test_rows_of_expired_requests_make_room_before_their_turn_comes(new_stand: NewStand) -> None:
    stand = new_stand(max_queue_rows=4)
    await stand.ask(0)
    expired = await stand.ask(1, 2, 3, 4, deadline=stand.clock.now + 1)
    await stand.advance(1)

    assert isinstance(expired.exception(), DeadlineExceededError)
    assert stand.batcher.queued_rows == 0
    await stand.ask(5, 6, 7, 8)
    await stand.run_batch()
    await stand.run_batch()
    assert stand.batches == [[0], [5, 6, 7, 8]]


async def test_a_request_larger_than_the_whole_queue_can_never_succeed(new_stand: NewStand) -> None:
    stand = new_stand(max_queue_rows=8)
    task = await stand.ask(*range(9))

    assert isinstance(task.exception(), InvalidInputError)
    assert str(task.exception()) == "expected at most 8 rows in a request, received 9"


async def test_a_request_whose_deadline_passes_in_the_queue_is_refused_then_and_never_run(new_stand: NewStand) -> None:
    stand = new_stand()
    await stand.ask(0)
    hurried = await stand.ask(1, deadline=stand.clock.now + 0.5)
    patient = await stand.ask(2, deadline=stand.clock.now + 5)
    await stand.advance(0.6)

    assert isinstance(hurried.exception(), DeadlineExceededError)
    await stand.run_batch()
    await stand.run_batch()
    assert stand.batches == [[0], [2]]
    assert column(patient) == [2]


async def test_a_deadline_that_passes_while_the_model_runs_bounds_the_wait(new_stand: NewStand) -> None:
    stand = new_stand()
    hurried, patient = await stand.ask(1, deadline=stand.clock.now + 1), await stand.ask(2)
    await stand.advance(1)

    assert isinstance(hurried.exception(), DeadlineExceededError)
    await stand.run_batch()
    await stand.run_batch()
    assert column(patient) == [2]


async def test_a_deadline_in_the_past_is_refused_at_the_door(new_stand: NewStand) -> None:
    stand = new_stand()
    task = await stand.ask(1, deadline=stand.clock.now)

    assert isinstance(task.exception(), DeadlineExceededError)
    assert stand.executor.kept == 0


async def test_a_split_request_with_a_deadline_in_the_past_is_refused_as_one(new_stand: NewStand) -> None:
    stand = new_stand()
    task = await stand.ask(*range(10), deadline=stand.clock.now - 1)

    assert isinstance(task.exception(), DeadlineExceededError)
    assert stand.executor.kept == 0


async def test_a_batch_timeout_is_counted_from_the_first_request(new_stand: NewStand) -> None:
    stand = new_stand(threaded=False, batch_timeout_ms=100)
    await stand.ask(1)
    await stand.advance(0.06)
    await stand.ask(2)

    assert stand.batches == []
    await stand.advance(0.05)
    assert stand.batches == [[1, 2]]
    assert stand.observed.batches == [(2, 2, pytest.approx(0.11))]


async def test_a_full_batch_cuts_the_batch_timeout_short(new_stand: NewStand) -> None:
    stand = new_stand(threaded=False, batch_timeout_ms=100)
    await stand.ask(1, 2)
    assert stand.batches == []
    await stand.ask(3, 4)
    assert stand.batches == [[1, 2, 3, 4]]


async def test_a_stream_of_arrivals_does_not_put_a_full_batch_off(new_stand: NewStand) -> None:
    stand = new_stand(threaded=False, batch_timeout_ms=100)
    batches_seen = []

    async def arrive(value: int) -> dict[str, np.ndarray]:
        batches_seen.append(len(stand.batches))
        if value < 12:  # the next comes in the next turn of the loop, before what this one has the batcher schedule
            stand.requests.append(asyncio.create_task(arrive(value + 1)))
        return await stand.batcher.submit({"x": np.float64([[value]])}, 1)

    stand.requests.append(asyncio.create_task(arrive(0)))
    await turn(20)

    assert stand.batches[0] == [0, 1, 2, 3]
    assert batches_seen[-1] > 0


async def test_what_queued_behind_a_run_waits_for_its_own_batch_timeout(new_stand: NewStand) -> None:
    stand = new_stand(batch_timeout_ms=100)
    await stand.ask(1)
    await stand.advance(0.1)
    await stand.ask(2)
    await stand.run_batch()

    assert stand.executor.kept == 0
    await stand.advance(0.1)
    await stand.run_batch()
    assert stand.batches == [[1], [2]]


async def test_an_error_of_the_model_reaches_its_own_batch_only_and_names_no_secret(
    new_stand: NewStand, caplog: pytest.LogCaptureFixture
) -> None:
    stand = new_stand()
    stand.model.instead = [None, broken]
    before = await stand.ask(0)
    victims = [await stand.ask(value) for value in (1, 2, 3, 4)]
    after = await stand.ask(5)
    for _ in range(3):
        await stand.run_batch()

    assert [str(task.exception()) for task in victims] == ["the model failed: RuntimeError"] * 4
    assert (column(before), column(after)) == ([0], [5])
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["the model failed"]


@pytest.mark.parametrize("threaded", [True, False])
async def test_the_back_ends_own_words_reach_the_client(new_stand: NewStand, threaded: bool) -> None:
    def refuse(_: Arrays) -> dict[str, np.ndarray]:
        raise InferenceError("the runtime ran out of patience")

    stand = new_stand(threaded=threaded)
    stand.model.instead = [refuse]
    task = await stand.ask(1)
    if threaded:
        await stand.run_batch()

    assert str(task.exception()) == "the runtime ran out of patience"


async def test_when_the_model_refuses_an_input_only_the_request_it_came_with_is_refused(new_stand: NewStand) -> None:
    def refuse_two(inputs: Arrays) -> dict[str, np.ndarray]:
        if 2 in inputs["x"]:
            raise InvalidInputError("nobody may send a 2")
        return {"y": inputs["x"]}

    stand = new_stand(threaded=False)
    stand.model.instead = [refuse_two] * 6
    tasks = [asyncio.create_task(stand.batcher.submit({"x": np.float64([[value]])}, 1)) for value in (1, 2, 3, 4, 5)]
    await turn()

    assert str(tasks[1].exception()) == "nobody may send a 2"
    assert [column(tasks[index]) for index in (0, 2, 3, 4)] == [[1], [3], [4], [5]]
    assert stand.batches == [[1, 2, 3, 4], [1], [2], [3], [4], [5]]


@pytest.mark.parametrize(
    "answer",
    [np.zeros((3, 1)), np.zeros((5, 1)), np.zeros((0, 1)), np.float64(1)],
    ids=["too few", "too many", "none", "a scalar"],
)
async def test_a_wrong_number_of_rows_from_the_model_is_an_inference_error(
    new_stand: NewStand, answer: np.ndarray
) -> None:
    stand = new_stand()
    stand.model.instead = [None, lambda _: {"y": answer}]
    await stand.ask(0)
    victims, after = [await stand.ask(1, 2), await stand.ask(3, 4)], await stand.ask(5)
    for _ in range(3):
        await stand.run_batch()

    for task in victims:
        error = task.exception()
        assert isinstance(error, InferenceError)
        assert str(error).startswith('output "y": expected 4 rows from the model, received shape (')
    assert column(after) == [5]


async def test_inputs_that_cannot_be_joined_fail_their_batch_and_nothing_else(new_stand: NewStand) -> None:
    stand = new_stand()
    await stand.ask(0)
    odd = [
        asyncio.create_task(stand.batcher.submit(inputs, 1))
        for inputs in ({"x": np.float64([[1]])}, {"z": np.float64([[2]])})
    ]
    await turn()
    after = await stand.ask(1, 2, 3, 4)
    for _ in range(3):
        await stand.run_batch()

    assert [str(task.exception()) for task in odd] == ["the model failed: KeyError"] * 2
    assert column(after) == [1, 2, 3, 4]


async def test_requests_that_come_when_the_gateway_stops_are_told_so() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    batcher = Batcher(EchoModel(), BatchSettings(), executor, Observed(), CostModel())

    with pytest.raises(UnavailableError, match="the gateway is stopping"):
        await batcher.submit({"x": np.zeros((1, 1))}, 1)


async def test_a_failed_run_says_nothing_about_how_long_runs_take(new_stand: NewStand) -> None:
    stand = new_stand()
    stand.model.instead = [broken]
    await stand.ask(1)
    await stand.run_batch()

    assert stand.cost.predict_s(1) == float("inf")


async def test_a_real_thread_answers_too() -> None:
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(EchoModel(), BatchSettings(max_batch_size=8), executor, Observed(), CostModel())
        requests = [batcher.submit({"x": np.full((rows, 2), float(rows))}, rows) for rows in (1, 3, 20, 2)]
        answers = await asyncio.gather(*requests)

    assert [answer["y"].shape for answer in answers] == [(1, 2), (3, 2), (20, 2), (2, 2)]
    assert all((answer["y"] == rows).all() for answer, rows in zip(answers, (1, 3, 20, 2), strict=True))
