"""The batch size that an SLO allows, on models whose times are made up."""

from __future__ import annotations

import random

import pytest

from serving.batching.size_limit import SizeLimit


def run(limit: SizeLimit, seconds_of_row: float, batches: int, noise: random.Random | None = None) -> list[float]:
    """Full batches of a model that takes this long for a row, a tenth more or less with noise."""
    took = []
    for _ in range(batches):
        factor = noise.uniform(0.9, 1.1) if noise else 1.0
        took.append(limit.rows * seconds_of_row * factor)
        limit.observe(limit.rows, took[-1])
    return took


def test_without_a_budget_it_is_the_maximum_whatever_batches_take() -> None:
    limit = SizeLimit(64, None)
    limit.observe(64, 100.0)
    assert limit.rows == 64


def test_within_a_budget_it_grows_to_the_maximum_in_a_few_batches() -> None:
    limit = SizeLimit(64, 1.0)
    assert limit.rows == 1
    run(limit, 0.001, 6)
    assert limit.rows == 64
    run(limit, 0.001, 100)
    assert limit.rows == 64


@pytest.mark.parametrize("allowed", [3, 10, 40])
def test_ninety_nine_of_a_hundred_batches_stay_within_the_budget(allowed: int) -> None:
    limit = SizeLimit(64, 0.1)
    noise = random.Random(7)
    run(limit, 0.1 / allowed, 500, noise)
    took = run(limit, 0.1 / allowed, 20_000, noise)

    misses = sum(seconds > 0.1 for seconds in took) / len(took)
    assert 0.005 < misses < 0.015
    assert allowed * 0.6 < limit.rows <= allowed * 1.12


def test_it_shrinks_when_the_model_gets_slower_and_grows_again_when_that_ends() -> None:
    limit = SizeLimit(64, 0.1)
    run(limit, 0.002, 100)
    fast = limit.rows
    run(limit, 0.01, 100)
    slow = limit.rows
    run(limit, 0.002, 3000)

    assert (fast, limit.rows) == (pytest.approx(45, abs=6), pytest.approx(46, abs=5))
    assert slow == pytest.approx(9, abs=1)


def test_a_single_row_may_always_run() -> None:
    limit = SizeLimit(64, 0.1)
    run(limit, 5.0, 100)
    assert limit.rows == 1


def test_small_batches_say_nothing() -> None:
    limit = SizeLimit(64, 0.1)
    run(limit, 0.001, 10)
    for _ in range(1000):
        limit.observe(20, 5.0)
    assert limit.rows == 64
