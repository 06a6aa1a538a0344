"""Which figures of the gate forbid publishing, and why: pure decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from export.limits import Bounds
from serving.bundle import Parity

METRIC_TOLERANCE = 1e-3
"""The figure that training recorded was measured in other batch sizes: near ties may fall otherwise."""
ROUNDING = 1e-9
"""Shares are quotients: 0.915 - 0.91 is a little more than 0.005."""

Figure = Literal["difference", "same top class", "metric"]


@dataclass(frozen=True)
class Violation:
    """A figure of a runtime's output that is outside of its bound.

    `bound` is what a table shows beside the figure, such as `> 1e-05`; `reason` says it in words.
    """

    runtime: str
    output: str | None
    figure: Figure
    bound: str
    reason: str


def violations(parity: Parity, bounds: Bounds, *, reference_accuracy: float | None = None) -> list[Violation]:
    """What of a runtime's figures is outside of its bounds; `reference_accuracy` is that of the same examples."""
    found = [
        (_difference(parity, bounds), "difference"),
        (_agreement(parity, bounds), "same top class"),
        (_accuracy_loss(parity, bounds, reference_accuracy), "metric"),
    ]
    return [
        Violation(parity.runtime, parity.output, figure, *broken)  # type: ignore[arg-type]
        for broken, figure in found
        if broken is not None
    ]


def metric_violation(
    runtime: str, metric: Literal["accuracy", "mean_absolute_error"], measured: float, recorded: float, examples: int
) -> Violation | None:
    """Why a runtime cannot be the model that was trained; None where its metric is the recorded one.

    Of an accuracy `METRIC_TOLERANCE` is allowed, and always one example; of a mean absolute error the same share of it,
    or of 1 where it is smaller.
    """
    is_accuracy = metric == "accuracy"
    allowed = max(METRIC_TOLERANCE, 1.5 / examples) if is_accuracy else METRIC_TOLERANCE * max(1, recorded)
    if abs(measured - recorded) <= allowed:
        return None
    what, of = ("accuracy", "images") if is_accuracy else ("mean absolute error", "examples")
    reason = (
        f"the bundle's {what} on {examples:,} {of} is {measured:.4f}, "
        f"but the run recorded {recorded:.4f}: this is not the model that was trained"
    )
    return Violation(runtime, None, "metric", f"not {recorded:.4f}", reason)


def refusal(parity: Parity, found: Sequence[Violation]) -> str | None:
    """The violations of one runtime's output as a sentence without an end; None where there is none."""
    if not found:
        return None
    where = "" if parity.output is None else f' in its output "{parity.output}"'
    reasons = "; ".join(violation.reason for violation in found)
    return f"{parity.runtime} does not answer like {parity.reference}{where}: {reasons}"


def _difference(parity: Parity, bounds: Bounds) -> tuple[str, str] | None:
    """Judges the relative difference where there is one, else the absolute."""
    if math.inf in {parity.max_abs_difference, parity.max_relative_difference}:
        return "not finite", "where one gives a finite number the other does not, or both give none"
    relative = parity.max_relative_difference
    found, allowed, what = (
        (parity.max_abs_difference, bounds.difference, "difference of a score")
        if relative is None
        else (relative, bounds.relative_difference, "relative difference of a prediction")
    )
    if allowed is None or found <= allowed:
        return None
    return f"> {allowed:g}", f"the largest {what} is {found:.3g}, allowed is {allowed:g}"


def _agreement(parity: Parity, bounds: Bounds) -> tuple[str, str] | None:
    found, required = parity.top1_agreement, bounds.agreement
    if found is None or found >= required - ROUNDING:
        return None
    return f"< {required:.2%}", f"they agree on the top class of {found:.4%} of the inputs, required is {required:.4%}"


def _accuracy_loss(parity: Parity, bounds: Bounds, reference_accuracy: float | None) -> tuple[str, str] | None:
    if bounds.accuracy_loss is None or reference_accuracy is None or parity.accuracy is None:
        return None
    least = reference_accuracy - bounds.accuracy_loss
    if parity.accuracy >= least - ROUNDING:
        return None
    return f"< {least:.4f}", (
        f"the accuracy falls from {reference_accuracy:.4f} to {parity.accuracy:.4f}, "
        f"allowed is a loss of {bounds.accuracy_loss:g}"
    )
