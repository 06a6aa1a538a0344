"""Where values lie on a chart, and which of them are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_TICKS = 5
_MAX_DECADES = 6
_FLAT = 1e-9


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` laid from `start` to `end`, in the units of the drawing."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The place of a value."""
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def value_axis(values: Iterable[float], start: float, end: float) -> Axis:
    """An axis from one round number to another that holds all finite values."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if high - low <= _FLAT * max(abs(low), abs(high)):
        around = abs(low) / 10 or 1.0
        low, high = low - around, high + around
    step = _round_step((high - low) / _TICKS)
    first, last = math.floor(low / step), math.ceil(high / step)
    return Axis(first * step, last * step, start, end, tuple(place * step for place in range(first, last + 1)))


def decade_axis(values: Iterable[float], start: float, end: float) -> Axis:
    """A logarithmic axis from one power of ten to another that holds all values, which are positive."""
    values = list(values)
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    step = math.ceil((last - first) / _MAX_DECADES)
    ticks = tuple(10.0**power for power in range(first, last + 1, step))
    return Axis(10.0**first, 10.0**last, start, end, ticks, logarithmic=True)


def share_axis(start: float, end: float) -> Axis:
    """From 0 to 1, with ticks at every fifth."""
    return Axis(0, 1, start, end, (0, 0.2, 0.4, 0.6, 0.8, 1))


def epoch_axis(epochs: int, start: float, end: float) -> Axis:
    """From epoch 1 to the last, with ticks at whole epochs; a lone epoch lies in the middle."""
    if epochs == 1:
        return Axis(0, 2, start, end, (1,))
    step = max(1, round(_round_step((epochs - 1) / _TICKS)))
    ticks = tuple(range(step, epochs + 1, step))
    return Axis(1, epochs, start, end, ticks if step == 1 else (1, *ticks))


def _round_step(width: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `width`."""
    power = 10.0 ** math.floor(math.log10(width))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= width * (1 - _FLAT)), 10 * power)
