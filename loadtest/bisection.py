"""Which rate to try next, on the way to the highest that meets an objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LOWEST_RATE = 1.0


@dataclass(frozen=True)
class Trial:
    """A rate that was tried: the p99 in milliseconds, right answers a second, and whether the objective was met.

    `saturated`: the generator could not keep up, so that a miss is not the server's.
    """

    rate: float
    p99_ms: float
    answered_per_s: float
    met: bool
    saturated: bool = False


def next_rate(trials: Sequence[Trial], *, first: float, highest: float, precision: float) -> float | None:
    """The next rate to try, or None once the limit is known to `precision` (0.05: to five per cent).

    Doubles while the objective is met, halves while it is missed, and then takes the geometric middle. Ends at
    `highest`, below one request a second, and when the generator itself was the limit.
    """
    if not trials:
        return min(first, highest)
    met = limit_of(trials)
    missed = min((one.rate for one in trials if not one.met), default=None)
    if missed is None:
        last = max(one.rate for one in trials)
        return min(2 * last, highest) if last < highest else None
    if met is None:
        return max(missed / 2, LOWEST_RATE) if missed > LOWEST_RATE else None
    if missed / met <= 1 + precision:
        return None
    return float((met * missed) ** 0.5)


def limit_of(trials: Sequence[Trial]) -> float | None:
    """The highest rate that met the objective below all that missed it; None where none did."""
    missed = min((one.rate for one in trials if not one.met), default=float("inf"))
    return max((one.rate for one in trials if one.met and one.rate < missed), default=None)


def is_generators(trials: Sequence[Trial]) -> bool:
    """Whether what stopped the search was the generator: the lowest miss was a saturated one."""
    misses = sorted((one for one in trials if not one.met), key=lambda one: one.rate)
    return bool(misses) and misses[0].saturated
