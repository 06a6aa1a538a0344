"""The search for the highest rate, by a server that is known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadtest.bisection import Trial, is_generators, limit_of, next_rate
from loadtest.limit import keeps_up
from loadtest.recording import Recorder
from tests.support.loadtest_recordings import made_up_outcome, steady


def search(limit: float, *, first: float = 100, highest: float = 200_000, saturated_above: float = 1e9) -> list[Trial]:
    trials: list[Trial] = []
    while (rate := next_rate(trials, first=first, highest=highest, precision=0.05)) is not None:
        assert len(trials) < 60
        trials.append(Trial(rate, 1.0, rate, met=rate <= limit, saturated=rate > saturated_above))
    return trials


@given(st.floats(1.1, 150_000), st.floats(1, 10_000))
def test_the_limit_is_found_to_five_per_cent_from_anywhere(limit: float, first: float) -> None:
    found = limit_of(search(limit, first=first))
    assert found is not None
    assert limit / 1.06 <= found <= limit


def test_a_server_that_meets_every_rate_is_tried_to_the_highest() -> None:
    trials = search(1e9, highest=1000)
    assert [one.rate for one in trials] == [100, 200, 400, 800, 1000]
    assert limit_of(trials) == 1000


def test_a_server_that_meets_none_is_tried_down_to_one_a_second() -> None:
    trials = search(0)
    assert trials[-1].rate == 1
    assert limit_of(trials) is None


def test_rates_above_a_miss_do_not_count() -> None:
    trials = [Trial(100, 1, 100, met=True), Trial(200, 9, 200, met=False), Trial(400, 1, 400, met=True)]
    assert limit_of(trials) == 100


def test_a_generator_that_was_the_limit_is_known() -> None:
    assert is_generators(search(900, saturated_above=800))
    assert not is_generators(search(900))


def test_a_server_whose_queue_grows_does_not_keep_up() -> None:
    def overloaded(recorder: Recorder) -> None:
        for number in range(
            1000
        ):  # 100 a second are due, and every hundredth of a second and a quarter one is answered
            recorder.sent(number / 100, 0.0, 1, waits=False)
            recorder.answered(number / 100, number / 80, labelled=0, right=0)

    assert not keeps_up(made_up_outcome(overloaded, duration_s=10))
    assert keeps_up(made_up_outcome(lambda recorder: steady(recorder, seconds=10, per_s=50), duration_s=10))
    slow = made_up_outcome(lambda recorder: steady(recorder, seconds=1, per_s=20, latency_s=0.8), duration_s=1)
    assert keeps_up(slow)
