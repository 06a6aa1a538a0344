"""How many requests a second shall arrive, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Segment:
    """Seconds in which the rate goes evenly from one value to another, in requests a second."""

    duration_s: float
    from_rate: float
    to_rate: float

    @property
    def arrivals(self) -> float:
        """How many requests are expected in it."""
        return self.duration_s * (self.from_rate + self.to_rate) / 2


@dataclass(frozen=True)
class Rates:
    """Segments one after the other; second 0 is the first one's begin."""

    segments: tuple[Segment, ...]

    @cached_property
    def duration_s(self) -> float:
        """Seconds of all segments."""
        return sum(segment.duration_s for segment in self.segments)

    @cached_property
    def arrivals(self) -> float:
        """How many requests are expected in all."""
        return sum(segment.arrivals for segment in self.segments)

    def at(self, second: float) -> float:
        """Requests a second at a moment; 0 outside of the segments."""
        begin = 0.0
        for segment in self.segments:
            if begin <= second < begin + segment.duration_s:
                share = (second - begin) / segment.duration_s
                return segment.from_rate + share * (segment.to_rate - segment.from_rate)
            begin += segment.duration_s
        return 0.0

    def times(self, counts: np.ndarray) -> np.ndarray:
        """When so many requests have arrived: seconds, float64, of counts from 0 to `arrivals`, ascending.

        Within a segment, c = r₀·t + (r₁-r₀)·t²/2d, solved for t in the form that is exact for a constant rate.
        """
        begins = np.cumsum([0.0, *(segment.duration_s for segment in self.segments)])
        before = np.cumsum([0.0, *(segment.arrivals for segment in self.segments)])
        index = np.clip(np.searchsorted(before, counts, side="left") - 1, 0, len(self.segments) - 1)
        from_rate = np.array([segment.from_rate for segment in self.segments])[index]
        slope = np.array([(one.to_rate - one.from_rate) / one.duration_s for one in self.segments])[index]
        within = counts - before[index]
        root = np.sqrt(np.maximum(from_rate**2 + 2 * slope * within, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            seconds = np.where(within > 0, 2 * within / (from_rate + root), 0.0)
        return begins[index] + seconds


def constant(rate: float, duration_s: float) -> Rates:
    """The same rate all the time."""
    return Rates((Segment(duration_s, rate, rate),))


def ramp(from_rate: float, to_rate: float, duration_s: float) -> Rates:
    """Evenly from one rate to another."""
    return Rates((Segment(duration_s, from_rate, to_rate),))


def steps(from_rate: float, to_rate: float, count: int, duration_s: float) -> Rates:
    """`count` rates from one to another, each for the same time."""
    return Rates(tuple(Segment(duration_s / count, rate, rate) for rate in step_rates(from_rate, to_rate, count)))


def step_rates(from_rate: float, to_rate: float, count: int) -> Sequence[float]:
    """`count` rates from one to another, evenly apart; of one step, the second."""
    if count == 1:
        return [to_rate]
    return [float(rate) for rate in np.linspace(from_rate, to_rate, count)]


def spike(rate: float, spike_rate: float, spike_s: float, duration_s: float) -> Rates:
    """A rate, and for `spike_s` seconds in the middle another."""
    around = (duration_s - spike_s) / 2
    return Rates((Segment(around, rate, rate), Segment(spike_s, spike_rate, spike_rate), Segment(around, rate, rate)))
