"""When requests shall arrive: seconds from the measurement's begin; those of the warm-up are negative."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from loadtest.errors import UsageError
from loadtest.rates import Rates

Spacing = Literal["poisson", "even"]

_CHUNK = 4096
_MAX_TRACE_ROWS = 20_000_000


def arrivals(rates: Rates, spacing: Spacing, seed: int, *, begin_s: float = 0.0) -> Iterator[float]:
    """The seconds of all arrivals, ascending, made as they are needed.

    `even` spaces them by the rate alone, the first after half a gap; `poisson` is the Poisson process of that rate: its
    arrivals are a unit-rate process', whose gaps are exponential with mean 1, put through the inverse of the rate's
    integral (time change theorem; Çinlar, Introduction to Stochastic Processes, 1975, chapter 4).
    """
    generator = np.random.default_rng(seed)
    last = -0.5 if spacing == "even" else 0.0
    while True:
        gaps = np.ones(_CHUNK) if spacing == "even" else generator.exponential(size=_CHUNK)
        counts = last + np.cumsum(gaps)
        last = counts[-1]
        inside = counts[counts < rates.arrivals]
        yield from (rates.times(inside) + begin_s).tolist()
        if len(inside) < _CHUNK:
            return


def share(times: Iterator[float], index: int, count: int) -> Iterator[float]:
    """What the worker at `index` of `count` sends: every count-th arrival."""
    return itertools.islice(times, index, None, count)


def read_trace(path: Path, *, speed: float = 1.0) -> np.ndarray:
    """The arrival times of a recorded trace: seconds from its first arrival, float64 `[N]`, ascending.

    The file is CSV; its first column holds seconds, of any clock, one request a row, in any order; a header is skipped.
    `speed` 2 replays it in half the time.

    Raises:
        UsageError: unreadable, empty, or a row that is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            seconds = list(_seconds(path, csv.reader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"trace {path} cannot be read: {reason}") from error
    if not seconds:
        raise UsageError(f"trace {path}: expected a first column of arrival times in seconds, received no rows")
    times = np.sort(np.array(seconds))
    shifted: np.ndarray = (times - times[0]) / speed
    return shifted


def _seconds(path: Path, rows: Iterator[list[str]]) -> Iterator[float]:
    for number, row in enumerate(rows, start=1):
        if not row or not "".join(row).strip():
            continue
        if number > _MAX_TRACE_ROWS:
            raise UsageError(f"trace {path}: expected at most {_MAX_TRACE_ROWS:,} rows, received more")
        try:
            value = float(row[0])
        except ValueError as error:
            if number == 1:
                continue  # the header
            raise UsageError(f"trace {path}, row {number}: expected a time in seconds, received {row[0]!r}") from error
        if not math.isfinite(value):
            raise UsageError(f"trace {path}, row {number}: expected a time in seconds, received {row[0]!r}")
        yield value
