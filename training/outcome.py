"""What a finished training leaves behind: the model, judged on examples it never saw, and the pictures of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.curves import draw_curves
from training.datasets import Dataset
from training.errors import TrainingError
from training.loop import ask
from training.objective import answers, loss_and_metric
from training.pipeline import evaluation_batches
from training.report import write_report
from training.run import CURVES, HISTORY, METRICS, MODEL, REPORT, History, RunConfig, RunMetrics

if TYPE_CHECKING:
    import keras


def write_outcome(
    folder: Path,
    config: RunConfig,
    history: History,
    weights_of_epoch: int,
    model: keras.Model,
    dataset: Dataset,
) -> None:
    """Judges the model, and writes everything but the settings."""
    import tensorflow as tf

    evaluated_on, split = dataset.evaluation
    raw = ask(model, evaluation_batches(split))
    loss, metric = loss_and_metric(config.output, tf.constant(raw), tf.constant(split.targets), 0.0)
    if not np.isfinite(loss).all():
        raise TrainingError(f"the trained model's loss on the {evaluated_on} examples is infinite or no number")
    metrics = RunMetrics(
        evaluated_on=evaluated_on,
        examples=len(split),
        loss=float(np.mean(loss)),
        metric=config.metric,
        value=float(np.mean(metric)),
        seconds=round(sum(epoch.seconds for epoch in history.epochs), 3),
        parameters=model.count_params(),
        weights_of_epoch=weights_of_epoch,
    )
    history.write(folder / HISTORY)
    metrics.write(folder / METRICS)
    draw_curves(history, config.metric, f"{config.recipe}: {config.title}", folder / CURVES)
    write_report(
        folder / REPORT,
        config=config,
        history=history,
        metrics=metrics,
        split=split,
        outputs=answers(config.output, raw),
    )
    model.save(folder / MODEL)
