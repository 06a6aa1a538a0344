"""When a crashed worker is started again."""

from __future__ import annotations

import pytest

from serving.supervision.restarts import CALM_S, FIRST_DELAY_S, LONGEST_DELAY_S, crashes_in_a_row, restart_delay_s


def test_the_first_restart_comes_at_once_and_from_the_second_each_after_twice_the_time() -> None:
    assert [restart_delay_s(crashes, 0.0) / FIRST_DELAY_S for crashes in (1, 2, 3, 4)] == [0, 1, 2, 4]


@pytest.mark.parametrize("crashes", [11, 100, 10**9])
def test_there_is_a_longest_delay(crashes: int) -> None:
    assert restart_delay_s(crashes, 0.0) == LONGEST_DELAY_S


def test_chance_takes_up_to_half_of_it_off() -> None:
    assert restart_delay_s(3, 1.0) == restart_delay_s(3, 0.0) / 2


def test_who_has_served_for_long_starts_over() -> None:
    assert crashes_in_a_row(5, CALM_S) == 1
    assert crashes_in_a_row(5, CALM_S - 1) == 6
    assert crashes_in_a_row(0, 0.0) == 1
