"""Figures and verdicts of recordings."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from loadtest.figures import saturation_sentence
from loadtest.recording import Recorder
from loadtest.report.run import breaking_sentence, drift_sentence, partial_sentence, recovery_sentence
from tests.support.loadtest_recordings import made_up_outcome, steady


def test_figures_are_of_the_measured_seconds_alone() -> None:
    def fill(recorder: Recorder) -> None:
        steady(recorder, seconds=4, per_s=50)
        for number in range(100):  # the warm-up is slow, and fails
            recorder.sent(-0.5, 0.2, 1, waits=False)
            if number % 2:
                recorder.failed(-0.5, "HTTP 503", "busy")
            else:
                recorder.answered(-0.5, 3.0, labelled=1, right=False)

    outcome = made_up_outcome(fill, "p99<11ms,errors<0.1%,accuracy>=90%,rate>40/s", duration_s=4)
    figures = outcome.figures
    assert (figures.requests, figures.right_answers, figures.error_share, figures.accuracy) == (200, 200, 0, 0.9)
    assert figures.percentile_ms(99) == pytest.approx(10, rel=0.01)
    assert outcome.is_met
    assert not outcome.saturated_windows


def test_requests_that_were_waited_for_in_vain_count_as_long_and_quick_refusals_do_not_count_as_quick() -> None:
    def fill(recorder: Recorder) -> None:
        steady(recorder, seconds=1, per_s=90)
        for number in range(10):
            recorder.sent(0.5, 0.0, 1, waits=False)
            recorder.failed(0.5, "timed out", "slow", waited_s=5.0)
            recorder.failed(0.5 + number / 100, "HTTP 503", "busy")

    figures = made_up_outcome(fill, duration_s=1).figures
    assert figures.percentile_ms(99) == pytest.approx(5000, rel=0.01)
    assert figures.percentile_ms(50) == pytest.approx(10, rel=0.01)
    assert figures.latencies.get_total_count() == 100
    assert figures.error_share == pytest.approx(20 / 110)


def test_a_generator_that_sends_late_or_takes_its_whole_core_is_blamed() -> None:
    def late(recorder: Recorder) -> None:
        steady(recorder, seconds=3, per_s=20)
        recorder.sent(1.5, 0.5, 1, waits=False)

    outcome = made_up_outcome(late, duration_s=3)
    assert [one.is_saturated for one in outcome.by_window] == [False, True, False]
    said = saturation_sentence(outcome)
    assert said.startswith("Requests could not be sent in time in 1 of 3 windows of 1 s: 1.64 % ")
    assert said.endswith("so the machine that sends is too busy with other work.")

    def busy(recorder: Recorder) -> None:
        steady(recorder, seconds=3, per_s=20)
        recorder.busy(2.0, 0.99)

    outcome = made_up_outcome(busy, duration_s=3)
    assert outcome.saturated_windows == 1
    assert "up to 0.99 of a core, so Locust itself is at its limit: use more --processes" in saturation_sentence(
        outcome
    )


def test_a_ramp_breaks_where_three_windows_in_a_row_miss_the_objective() -> None:
    def fill(recorder: Recorder) -> None:
        for second in range(10):
            slow = second in {2, 3, 6, 7, 8, 9}
            recorder.sent(second + 0.5, 0.0, 1, waits=False)
            recorder.answered(second + 0.5, second + 0.5 + (0.2 if slow else 0.01), labelled=0, right=0)

    outcome = made_up_outcome(fill, "p99<50ms", shape="ramp", from_rate=1, rate=101, duration_s=10)
    assert outcome.breaking_second == 6
    assert breaking_sentence(outcome) == (
        "The objective was missed in three windows in a row from second 6 on, at 61 requests/s."
    )
    mild = made_up_outcome(fill, "p50<300ms,p99<50ms", shape="ramp", from_rate=1, rate=101, duration_s=10)
    assert not mild.is_met
    held = made_up_outcome(fill, "p99<500ms", shape="ramp", from_rate=1, rate=101, duration_s=10)
    assert breaking_sentence(held) == "The objective held in every window, up to 101 requests/s."


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ("interrupted", "The test was interrupted: figures are of 3 s of 60."),
        ("broke", "The ramp was ended at its breaking point: figures are of 3 s of 60."),
        ("", "The test's end was not recorded: figures are of 3 s of 60."),
    ],
)
def test_a_test_that_was_cut_short_is_partial_and_its_rate_is_of_what_there_is(end: str, sentence: str) -> None:
    outcome = made_up_outcome(lambda recorder: steady(recorder, seconds=3, per_s=20), end=end)
    assert outcome.is_partial
    assert outcome.figures.answered_per_s == pytest.approx(20, abs=0.5)
    assert partial_sentence(outcome) == sentence


def test_a_test_without_an_answer_meets_nothing() -> None:
    outcome = made_up_outcome(lambda _: None, "errors<1%")
    assert not outcome.is_met
    assert math.isnan(outcome.figures.percentile_ms(99))


@pytest.mark.parametrize(
    ("slow", "sentence"),
    [
        ({}, "The objective held in the spike and after it."),
        ({4, 5}, "The objective was missed in the spike, and held again from its end on."),
        ({5, 6, 7}, "The objective was missed until 2 s after the spike's end."),
        ({5, 9}, "The objective was still missed at the end, 4 s after the spike."),
    ],
)
def test_a_spike_says_when_the_objective_held_again(slow: set[int], sentence: str) -> None:
    outcome = made_up_outcome(_slow_in(slow), "p99<50ms", shape="spike", rate=1, spike_for_s=2, duration_s=10)
    assert recovery_sentence(outcome) == sentence


def test_a_soak_sets_its_last_tenth_beside_its_first() -> None:
    outcome = made_up_outcome(_slow_in({18, 19}), shape="soak", rate=1, duration_s=20)
    assert drift_sentence(outcome) == (
        "In the first tenth p99 was 10 ms at 1.0 answers/s, in the last 200 ms at 1.0/s."
    )


def _slow_in(seconds: set[int]) -> Callable[[Recorder], None]:
    def fill(recorder: Recorder) -> None:
        for second in range(20):
            recorder.sent(second + 0.5, 0.0, 1, waits=False)
            latency_s = 0.2 if second in seconds else 0.01
            recorder.answered(second + 0.5, second + 0.5 + latency_s, labelled=0, right=0)

    return fill
