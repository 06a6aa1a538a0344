"""How far figures that were counted on a sample of examples may be off by chance alone."""

from __future__ import annotations

import math

Z_95 = 1.959964
"""Two-sided 95 % of the normal distribution."""


def share_interval(share: float, examples: int) -> tuple[float, float]:
    """The 95 % interval of a share, 0..1, that was seen on so many independent examples (Wilson's score interval)."""
    shrink = 1 + Z_95**2 / examples
    centre = (share + Z_95**2 / (2 * examples)) / shrink
    half = Z_95 / shrink * math.sqrt(share * (1 - share) / examples + (Z_95 / (2 * examples)) ** 2)
    return max(0.0, centre - half), min(1.0, centre + half)


def difference_interval(share: float, examples: int, other_share: float, other_examples: int) -> tuple[float, float]:
    """The 95 % interval of `share - other_share`, two shares of independent samples.

    The two-proportion z interval with Wilson's limits in place of the standard errors, which also holds near 0 and 1
    (Newcombe, Statistics in Medicine 17, 1998, method 10).
    """
    low, high = share_interval(share, examples)
    other_low, other_high = share_interval(other_share, other_examples)
    difference = share - other_share
    return (
        difference - math.hypot(share - low, other_high - other_share),
        difference + math.hypot(high - share, other_share - other_low),
    )


def is_clear(interval: tuple[float, float]) -> bool:
    """Whether a difference's interval leaves 0 out."""
    low, high = interval
    return low > 0 or high < 0
