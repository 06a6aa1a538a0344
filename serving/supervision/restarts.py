"""How long a crashed worker waits before it is started again. Pure functions."""

from __future__ import annotations

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0
CALM_S = 60.0
"""Who has taken connections for so long starts over with the shortest delay."""


def crashes_in_a_row(before: int, served_s: float) -> int:
    """Counts a crash of a worker that had taken connections for `served_s` seconds."""
    return 1 if served_s >= CALM_S else before + 1


def restart_delay_s(crashes: int, chance: float) -> float:
    """None after a first crash; then it doubles with every crash in a row, from `FIRST_DELAY_S` to `LONGEST_DELAY_S`.

    `chance`, from 0 to 1, takes up to half of it off: workers that a common cause kills again and again come back one
    after the other then.
    """
    if crashes <= 1:
        return 0.0
    longest = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(crashes - 2, 16))
    return longest * (1.0 - chance / 2)
