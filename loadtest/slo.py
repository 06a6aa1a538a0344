"""Service level objectives such as `p99<50ms,errors<0.1%`, and whether figures meet them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loadtest.errors import UsageError

EXAMPLE = "p99<50ms,errors<0.1%"

_CONDITION = re.compile(r"\s*(p\d+(?:\.\d+)?|[a-z]+)\s*(<=|>=|<|>)\s*([\d.]+)\s*([a-zµ%/]*)\s*", re.IGNORECASE)
_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_SHARE = {"%": 0.01}
_RATE = {"/s": 1.0, "rps": 1.0, "": 1.0}
_UNITS = {"errors": _SHARE, "accuracy": _SHARE, "rate": _RATE}
_IS_BOUND_BELOW = {"accuracy": True, "rate": True}
_NAMES = "p50 … p99.9, mean, max, errors, accuracy, rate"


class Measured(Protocol):
    """What conditions are held against. NaN stands for a figure that there is none of."""

    def percentile_ms(self, percentile: float) -> float:
        """Latency below which so many per cent of the answers lie."""

    @property
    def mean_ms(self) -> float:
        """Mean latency."""

    @property
    def max_ms(self) -> float:
        """Longest latency."""

    @property
    def error_share(self) -> float:
        """Share of the requests that failed, 0..1."""

    @property
    def accuracy(self) -> float:
        """Share of the labelled images that were classified right, 0..1."""

    @property
    def answered_per_s(self) -> float:
        """Right answers a second."""


@dataclass(frozen=True)
class Condition:
    """One bound on one figure. `bound` is in milliseconds, a share 0..1, or answers a second."""

    figure: str
    comparison: str
    bound: float
    text: str

    def measure(self, measured: Measured) -> float:
        """The figure, in the bound's unit."""
        match self.figure:
            case "mean":
                return measured.mean_ms
            case "max":
                return measured.max_ms
            case "errors":
                return measured.error_share
            case "accuracy":
                return measured.accuracy
            case "rate":
                return measured.answered_per_s
            case _:
                return measured.percentile_ms(float(self.figure[1:]))

    def is_met_by(self, value: float) -> bool:
        """Whether a value keeps the bound; no figure keeps none."""
        match self.comparison:
            case "<":
                return value < self.bound
            case "<=":
                return value <= self.bound
            case ">":
                return value > self.bound
            case _:
                return value >= self.bound

    def write(self, value: float) -> str:
        """A value in this figure's unit, as people read it."""
        if math.isnan(value):
            return "no answer to measure" if self.figure != "accuracy" else "no labelled image"
        if self.figure in {"errors", "accuracy"}:
            return f"{100 * value:.3g} %"
        if self.figure == "rate":
            return f"{value:,.1f}/s"
        return milliseconds(value)


@dataclass(frozen=True)
class Judgement:
    """A condition, what was measured, and whether it is met."""

    condition: Condition
    value: float
    met: bool

    @property
    def text(self) -> str:
        """`p99<50ms: 12.3 ms`."""
        return f"{self.condition.text}: {self.condition.write(self.value)}"


def parse_slo(text: str) -> tuple[Condition, ...]:
    """The conditions of a text.

    Raises:
        UsageError: not conditions with units.
    """
    if not text.strip():
        return ()
    return tuple(_parse(part) for part in text.split(","))


def judge(conditions: Sequence[Condition], measured: Measured) -> tuple[Judgement, ...]:
    """Each condition held against the figures."""
    values = [condition.measure(measured) for condition in conditions]
    return tuple(
        Judgement(condition, value, condition.is_met_by(value))
        for condition, value in zip(conditions, values, strict=True)
    )


def milliseconds(value: float) -> str:
    """`0.412 ms`, `12.3 ms`, `345 ms`, `2.35 s`; a dash for what is not a number."""
    if not math.isfinite(value):
        return "–"
    if value >= 1000:
        return f"{value / 1000:.3g} s"
    return f"{value:.3g} ms"


def _parse(part: str) -> Condition:
    found = _CONDITION.fullmatch(part)
    if not found:
        raise UsageError(f"SLO: expected conditions such as {EXAMPLE}, received {part.strip()!r}")
    figure, comparison, number, unit = found[1].lower(), found[2], found[3], found[4].lower()
    is_percentile = figure[1:].replace(".", "").isdigit()
    if not is_percentile and figure not in {"mean", "max", *_UNITS}:
        raise UsageError(f"SLO: expected one of {_NAMES}, received {figure!r}")
    if is_percentile and not 0 < float(figure[1:]) < 100:
        raise UsageError(f"SLO: expected a percentile between 0 and 100, received {figure!r}")
    units = _UNITS.get(figure, _MS)
    if unit not in units:
        expected = " or ".join(filter(None, units))
        raise UsageError(f"SLO {part.strip()}: expected the unit {expected}, received {unit or 'none'!r}")
    if comparison.startswith(">") != _IS_BOUND_BELOW.get(figure, False):
        raise UsageError(f"SLO {part.strip()}: expected {'>' if comparison.startswith('<') else '<'} for {figure}")
    try:
        value = float(number)
    except ValueError as error:
        raise UsageError(f"SLO {part.strip()}: expected a number, received {number!r}") from error
    return Condition(figure, comparison, value * units[unit], part.strip())
