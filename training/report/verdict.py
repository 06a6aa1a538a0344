"""Whether a training fits, overfits or could go on, from its history alone."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Literal

from training.report.html import number, percent
from training.run import History, MetricName

Fit = Literal["fits", "overfits", "improving", "unknown"]

RISE = 0.05
"""A validation loss this share above its lowest has risen; less is the noise of one epoch against another."""
FALL = 0.01
"""A last epoch this share below all others still improves."""
GAP = 0.1
"""So much more accuracy on training than on validation examples is memory, not understanding."""
_SETTLED = 3


@dataclass(frozen=True)
class Verdict:
    """What the history shows, and the same in a sentence or two."""

    fit: Fit
    sentence: str


def judge_fit(history: History, metric: MetricName) -> Verdict:
    """Judges a training by the first of these rules that holds; k is the epoch of the lowest validation loss.

    1. No validation, or one epoch only: unknown.
    2. Overfits from k on: the validation loss, its mean over the last three epochs (or as many as followed k), is at
       least 5 % above that of k, while the training loss fell since k and lies below the validation loss.
    3. Still improving: k is the last epoch, and at least 1 % below all epochs before.
    4. Overfits: in the last epoch, the training accuracy is at least 10 points above the validation accuracy.
    5. Fits well.
    """
    train = [epoch.loss for epoch in history.epochs]
    validation = [epoch.validation_loss for epoch in history.epochs if epoch.validation_loss is not None]
    if len(validation) < len(train):
        return Verdict("unknown", "Nothing was validated, so whether the model overfits cannot be seen.")
    if len(train) == 1:
        return Verdict("unknown", "One epoch is too short a history to tell whether the model overfits.")
    best = history.best
    late = validation[best + 1 :][-_SETTLED:]
    risen = statistics.fmean(late) if late else validation[best]
    compared = _compared(history, metric)
    if risen >= (1 + RISE) * validation[best] and train[-1] < min(train[best], validation[-1]):
        return Verdict(
            "overfits",
            f"Overfits from epoch {best + 1} on: since then the validation loss rose from {number(validation[best])} "
            f"to {number(risen)}{_growth(validation[best], risen)} while the training loss fell from "
            f"{number(train[best])} to {number(train[-1])}. {compared}",
        )
    if best == len(train) - 1 and validation[best] <= (1 - FALL) * min(validation[:-1]):
        return Verdict(
            "improving",
            f"Still improving: the last epoch has the lowest validation loss, {number(validation[best])}; "
            f"more epochs may help. {compared}",
        )
    if _gap(history, metric) >= GAP:
        return Verdict("overfits", f"Overfits: the model knows its training examples much better. {compared}")
    return Verdict(
        "fits",
        f"Fits well: the validation loss stays near its lowest, {number(validation[best])} in epoch {best + 1}. "
        f"{compared}",
    )


def _gap(history: History, metric: MetricName) -> float:
    last = history.epochs[-1]
    return 0.0 if metric != "accuracy" or last.validation_metric is None else last.metric - last.validation_metric


def _growth(before: float, after: float) -> str:
    return f" (+{percent(after / before - 1, 0)})" if before > 0 else ""


def _compared(history: History, metric: MetricName) -> str:
    last = history.epochs[-1]
    if last.validation_metric is None:
        raise AssertionError
    if metric == "accuracy":
        train, validation = percent(last.metric), percent(last.validation_metric)
        return f"Accuracy in the last epoch: {train} in training, {validation} in validation."
    train, validation = number(last.metric), number(last.validation_metric)
    return f"Mean absolute error in the last epoch: {train} in training, {validation} in validation."
