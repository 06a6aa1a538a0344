"""The batching policy, by its properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.policy import CostModel, Waiting, count_to_take, split

MAXIMUM = st.integers(1, 16)
QUEUE = st.lists(st.builds(Waiting, st.integers(1, 16), st.sampled_from(["small", "large"])), max_size=20)


@given(QUEUE, MAXIMUM)
def test_a_batch_is_the_longest_run_from_the_head_that_fits_and_shares_a_key(
    queue: list[Waiting], maximum: int
) -> None:
    taken = count_to_take(iter(queue), maximum)

    batch = queue[:taken]
    assert (taken == 0) == (not queue)
    assert len({request.key for request in batch}) <= 1
    assert sum(request.rows for request in batch) <= maximum or taken == 1
    if batch and taken < len(queue):
        following = queue[taken]
        assert following.key != batch[0].key or sum(r.rows for r in batch) + following.rows > maximum


@given(QUEUE, MAXIMUM)
def test_taking_batch_after_batch_empties_the_queue_in_order(queue: list[Waiting], maximum: int) -> None:
    left = list(queue)
    while left:
        taken = count_to_take(iter(left), maximum)
        assert taken >= 1
        del left[:taken]


@given(st.integers(1, 500), MAXIMUM)
def test_a_split_covers_all_rows_in_order_in_parts_as_large_as_allowed(rows: int, maximum: int) -> None:
    parts = list(split(rows, maximum))

    assert [row for part in parts for row in range(rows)[part]] == list(range(rows))
    assert [part.stop - part.start for part in parts[:-1]] == [maximum] * (len(parts) - 1)
    assert 1 <= parts[-1].stop - parts[-1].start <= maximum


def test_nothing_is_predicted_before_anything_was_measured() -> None:
    assert CostModel().predict_s(1) == math.inf


def test_a_size_that_was_only_measured_larger_is_not_predicted_from_it() -> None:
    cost = CostModel()
    cost.observe(64, 0.001)

    assert cost.predict_s(1) == math.inf


def test_a_size_not_yet_seen_is_predicted_in_proportion_to_the_nearest_smaller_one() -> None:
    cost = CostModel()
    cost.observe(1, 0.001)
    cost.observe(4, 0.003)

    assert cost.predict_s(16) == pytest.approx(0.012)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=30))
def test_a_prediction_stays_between_the_fastest_and_the_slowest_measured_run(measured: list[float]) -> None:
    cost = CostModel()
    for seconds in measured:
        cost.observe(8, seconds)

    assert min(measured) * 0.999 <= cost.predict_s(8) <= max(measured) * 1.001


def test_a_slow_run_is_remembered_but_does_not_decide_alone() -> None:
    cost = CostModel(weight=0.2)
    cost.observe(1, 0.0001)
    cost.observe(1, 0.0011)

    assert cost.predict_s(1) == pytest.approx(0.0003)
