"""Axes hold what is drawn on them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.report.axes import decade_axis, epoch_axis, value_axis

VALUES = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(st.lists(VALUES, min_size=1))
def test_a_value_axis_holds_every_value_between_few_round_ticks(values: list[float]) -> None:
    axis = value_axis(values, 0, 100)

    assert all(-1e-6 <= axis.at(value) <= 100 + 1e-6 for value in values)
    assert 2 <= len(axis.ticks) <= 7


@given(st.lists(st.floats(1e-12, 1e12), min_size=1).filter(lambda values: max(values) > 100 * min(values)))
def test_a_decade_axis_holds_every_value_between_few_powers_of_ten(values: list[float]) -> None:
    axis = decade_axis(values, 0, 100)

    assert all(-1e-6 <= axis.at(value) <= 100 + 1e-6 for value in values)
    assert 2 <= len(axis.ticks) <= 7


@pytest.mark.parametrize("values", [[], [math.nan], [0.0], [5.0, 5.0], [math.inf, 1.0]])
def test_values_without_extent_or_end_still_have_an_axis(values: list[float]) -> None:
    axis = value_axis(values, 0, 100)

    assert axis.low < axis.high < math.inf


@given(st.integers(1, 100_000))
def test_epochs_are_whole_from_the_first_on(epochs: int) -> None:
    axis = epoch_axis(epochs, 0, 100)

    assert axis.ticks[0] == 1
    assert axis.ticks[-1] <= epochs
    assert len(axis.ticks) <= 7
    assert all(tick == int(tick) for tick in axis.ticks)
    assert list(axis.ticks) == sorted(set(axis.ticks))
