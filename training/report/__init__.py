"""`report.html`: a finished run to look at, in one file that opens offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.datasets import Split
from training.report.classification import classification_sections
from training.report.html import Html
from training.report.overview import configuration, curves, heading
from training.report.page import page
from training.report.regression import regression_sections
from training.run import History, RunConfig, RunMetrics

__all__ = ["write_report"]


def write_report(
    path: Path, *, config: RunConfig, history: History, metrics: RunMetrics, split: Split, outputs: np.ndarray
) -> None:
    """Writes the report of a run.

    Args:
        path: the file to write.
        config: how the model was trained.
        history: its epochs.
        metrics: its figures on `split`.
        split: the examples that the model was judged by.
        outputs: what it answered to them, float32: scores `[N, len(config.labels)]`, 0..1, of a classifier, or
            predictions `[N, 1]` of a regression.
    """
    content = _content(config, history, metrics, split, outputs)
    path.write_text(page(f"{config.recipe}: {config.title}", content), encoding="utf-8")


def _content(
    config: RunConfig, history: History, metrics: RunMetrics, split: Split, outputs: np.ndarray
) -> Iterator[Html]:
    yield heading(config, history, metrics)
    yield curves(history, config.metric)
    if config.task == "classification":
        yield from classification_sections(metrics.evaluated_on, split, outputs, config.labels)
    else:
        yield from regression_sections(split, outputs)
    yield configuration(config, history, metrics)
