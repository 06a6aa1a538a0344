"""Rates over time, and when their requests arrive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest import rates
from loadtest.rates import Rates, Segment

SEGMENTS = st.lists(
    st.builds(Segment, st.floats(0.1, 20), st.floats(0.5, 500), st.floats(0.5, 500)), min_size=1, max_size=5
).map(tuple)


@settings(max_examples=50)
@given(SEGMENTS)
def test_so_many_requests_have_arrived_as_the_rate_says(segments: tuple[Segment, ...]) -> None:
    profile = Rates(segments)
    counts = np.linspace(0, profile.arrivals, 50)
    times = profile.times(counts)
    assert (np.diff(times) >= -1e-9).all()
    assert times[0] == pytest.approx(0, abs=1e-6)
    assert times[-1] == pytest.approx(profile.duration_s)
    for count, time in zip(counts[::7], times[::7], strict=True):
        assert integral(profile, time) == pytest.approx(count, rel=1e-6, abs=1e-6)


def integral(profile: Rates, until: float) -> float:
    """Of the rate, from second 0 on: in each segment, the rate of its middle for as long as it lasts."""
    found = begin = 0.0
    for segment in profile.segments:
        lasts = min(segment.duration_s, max(0.0, until - begin))
        found += lasts * profile.at(begin + lasts / 2)
        begin += segment.duration_s
    return found


def test_a_constant_rate_arrives_evenly() -> None:
    np.testing.assert_allclose(rates.constant(4, 2).times(np.arange(9.0)), np.arange(9) / 4)


def test_a_ramp_has_its_rates_at_its_ends_and_their_mean_in_all() -> None:
    ramp = rates.ramp(10, 30, 4)
    assert (ramp.at(0), ramp.at(2), ramp.at(3.999), ramp.at(4)) == (10, 20, pytest.approx(30, abs=0.01), 0)
    assert ramp.arrivals == 80


def test_steps_go_from_the_first_rate_to_the_last_for_the_same_time_each() -> None:
    steps = rates.steps(100, 300, 3, 6)
    assert [steps.at(second) for second in (0, 1.9, 2, 3.9, 4, 5.9)] == [100, 100, 200, 200, 300, 300]
    assert rates.steps(1, 50, 1, 6) == rates.constant(50, 6)


def test_a_spike_is_in_the_middle() -> None:
    spike = rates.spike(10, 100, 2, 10)
    assert [spike.at(second) for second in (0, 3.9, 4, 5.9, 6, 9.9)] == [10, 10, 100, 100, 10, 10]
    assert spike.duration_s == 10
