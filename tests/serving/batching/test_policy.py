"""The batching policy, by its properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.policy import CostModel, padded, split

MAXIMUM = st.integers(1, 16)


@given(st.integers(1, 500), MAXIMUM)
def test_a_split_covers_all_rows_in_order_in_parts_as_large_as_allowed(rows: int, maximum: int) -> None:
    parts = list(split(rows, maximum))

    assert [row for start, stop in parts for row in range(start, stop)] == list(range(rows))
    assert [stop - start for start, stop in parts[:-1]] == [maximum] * (len(parts) - 1)
    assert 1 <= parts[-1][1] - parts[-1][0] <= maximum


@given(st.integers(1, 100), st.sets(st.integers(1, 100)))
def test_a_batch_is_padded_to_the_smallest_allowed_size_that_holds_it(rows: int, sizes: set[int]) -> None:
    large_enough = [size for size in sizes if size >= rows]
    assert padded(rows, sorted(sizes)) == min(large_enough, default=rows)


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
