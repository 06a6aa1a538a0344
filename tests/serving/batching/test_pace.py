"""How fast a model gets through its queue."""

from __future__ import annotations

import pytest

from serving.batching.pace import Pace


def test_what_is_not_known_takes_no_time() -> None:
    assert (Pace().run_s(8), Pace().wait_s(100, 8)) == (0.0, 0.0)


def test_a_wait_is_as_many_turns_as_batches_go_before() -> None:
    pace = Pace()
    pace.ended(8, 0.0, 0.4, more_wait=False)
    pace.ended(2, 5.0, 5.1, more_wait=False)

    assert pace.wait_s(16, 8) == pytest.approx(0.8)
    assert pace.wait_s(18, 8) == pytest.approx(0.9)
    assert pace.run_s(8) == pytest.approx(0.4)


def test_while_others_wait_a_turn_counts_what_happens_between_two_runs() -> None:
    pace = Pace(weight=1.0)
    assert pace.ended(8, 0.0, 0.1, more_wait=True) == pytest.approx(0.1)
    assert pace.ended(8, 0.3, 0.4, more_wait=False) == pytest.approx(0.3)
    assert (pace.run_s(8), pace.wait_s(8, 8)) == (pytest.approx(0.1), pytest.approx(0.3))

    assert pace.ended(8, 9.0, 9.1, more_wait=False) == pytest.approx(0.1)
    assert pace.wait_s(8, 8) == pytest.approx(0.1)


def test_runs_that_overlap_count_once() -> None:
    pace = Pace(weight=1.0)
    pace.ended(8, 0.0, 0.4, more_wait=True)
    assert pace.ended(8, 0.2, 0.6, more_wait=True) == pytest.approx(0.4)
    assert (pace.run_s(8), pace.wait_s(8, 8)) == (pytest.approx(0.4), pytest.approx(0.2))


def test_one_long_pause_is_not_taken_for_the_models_pace() -> None:
    pace = Pace()
    for _ in range(3):
        pace.ended(8, 0.0, 0.1, more_wait=False)
    pace.ended(8, 0.0, 30.0, more_wait=False)
    assert pace.wait_s(8, 8) == pytest.approx(0.16)

    for _ in range(40):
        pace.ended(8, 0.0, 30.0, more_wait=False)
    assert pace.wait_s(8, 8) == pytest.approx(30.0, rel=0.01)
