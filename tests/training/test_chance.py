"""Intervals of shares, against published figures."""

from __future__ import annotations

import pytest

from training.chance import difference_interval, is_clear, share_interval


def test_a_shares_interval_is_wilsons() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I: 81/263.
    assert share_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_a_share_of_all_or_nothing_has_an_interval_too() -> None:
    assert share_interval(1, 20) == pytest.approx((0.8389, 1), abs=1e-4)
    assert share_interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


def test_a_differences_interval_is_newcombes() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10: 56/70 - 48/80.
    assert difference_interval(56 / 70, 70, 48 / 80, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_the_order_of_the_two_changes_only_the_sign() -> None:
    low, high = difference_interval(0.9, 1000, 0.88, 500)

    assert difference_interval(0.88, 500, 0.9, 1000) == pytest.approx((-high, -low))


def test_a_difference_is_clear_when_its_interval_leaves_0_out() -> None:
    assert is_clear(difference_interval(0.9, 10_000, 0.88, 10_000))
    assert is_clear(difference_interval(0.88, 10_000, 0.9, 10_000))
    assert not is_clear(difference_interval(0.9, 10_000, 0.895, 10_000))
    assert not is_clear(difference_interval(0.9, 100, 0.88, 100))
