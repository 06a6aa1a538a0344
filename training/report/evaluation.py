"""The figures of a classifier, from its scores `[N, n_labels]` (float32, 0..1) and the true classes `[N]` (integers).

A quotient without examples, such as the precision of a class that was never said, is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

CALIBRATION_BINS = 15
"""As many as the literature uses (Guo et al. 2017, On Calibration of Modern Neural Networks)."""


def confusion_matrix(truths: np.ndarray, guesses: np.ndarray, n_labels: int) -> np.ndarray:
    """Counts, int64 `[n_labels, n_labels]`: row is the true class, column the one that was said."""
    places = truths.astype(np.int64) * n_labels + guesses
    return np.bincount(places, minlength=n_labels * n_labels).reshape(n_labels, n_labels)


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is told from the others; each of the three 0..1, or NaN."""

    label: int
    precision: float
    """Of the times it was said, how often it was right."""
    recall: float
    """Of its examples, how many were found."""
    f1: float
    """The harmonic mean of both, 2 right / (said + support)."""
    support: int
    """Its examples."""


def class_figures(confusion: np.ndarray) -> tuple[ClassFigures, ...]:
    """The figures of every class, in the order of the classes."""
    right, said, support = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    return tuple(
        ClassFigures(
            label=label,
            precision=_quotient(right[label], said[label]),
            recall=_quotient(right[label], support[label]),
            f1=_quotient(2 * right[label], said[label] + support[label]),
            support=int(support[label]),
        )
        for label in range(len(confusion))
    )


def worst_mistakes(scores: np.ndarray, truths: np.ndarray, count: int) -> np.ndarray:
    """The positions of at most `count` wrong answers, those given the highest probability first."""
    wrong = np.flatnonzero(scores.argmax(axis=1) != truths)
    return wrong[np.argsort(-scores.max(axis=1)[wrong], kind="stable")][:count]


@dataclass(frozen=True)
class CalibrationBin:
    """The answers whose probability lies in (low, high]; the two means are NaN where there are none."""

    low: float
    high: float
    examples: int
    confidence: float
    """The mean probability that was given to the answers."""
    accuracy: float
    """The share of the answers that are right."""


@dataclass(frozen=True)
class Calibration:
    """Whether answers given 90 % are right nine times out of ten."""

    bins: tuple[CalibrationBin, ...]
    confidence: float
    accuracy: float
    error: float
    """The expected calibration error: the bins' gaps between confidence and accuracy, weighted by their examples."""


def calibration(scores: np.ndarray, truths: np.ndarray, n_bins: int = CALIBRATION_BINS) -> Calibration:
    """Puts every answer into one of `n_bins` bins of equal width by the probability that it was given."""
    confidences = scores.max(axis=1).astype(np.float64)
    right = scores.argmax(axis=1) == truths
    edges = np.linspace(0, 1, n_bins + 1)
    places = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, n_bins - 1)
    bins, error = [], 0.0
    for place in range(n_bins):
        inside = places == place
        examples = int(inside.sum())
        confidence = _quotient(confidences[inside].sum(), examples)
        accuracy = _quotient(right[inside].sum(), examples)
        bins.append(CalibrationBin(float(edges[place]), float(edges[place + 1]), examples, confidence, accuracy))
        if examples:
            error += examples / len(truths) * abs(confidence - accuracy)
    return Calibration(tuple(bins), float(confidences.mean()), float(right.mean()), error)


def _quotient(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else math.nan
