"""The picture of a training: its loss and its metric by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.run import History, MetricName

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAIN_COLOUR = "#2b6cb0"
VALIDATION_COLOUR = "#dd6b20"
INK = "#1a202c"
FAINT = "#718096"
GRID = "#e2e8f0"
MAX_MARKED_EPOCHS = 30
_DECADES = 100.0


def draw_curves(history: History, metric: MetricName, title: str, path: Path) -> None:
    """Writes a PNG, 1500 x 651 pixels: training and, where there is one, validation; the best epoch marked in both."""
    from matplotlib.figure import Figure

    epochs = history.epochs
    losses = [epoch.loss for epoch in epochs]
    validation_losses = [epoch.validation_loss for epoch in epochs if epoch.validation_loss is not None]
    scale = 100 if metric == "accuracy" else 1
    metrics = [scale * epoch.metric for epoch in epochs]
    validation_metrics = [scale * epoch.validation_metric for epoch in epochs if epoch.validation_metric is not None]

    figure = Figure(figsize=(10, 4.34), dpi=150, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12)  # type: ignore[union-attr, call-arg]
    # A dollar sign in somebody's title is not the beginning of a formula.
    figure.suptitle(title, x=0.015, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    loss_axes, metric_axes = figure.subplots(1, 2)
    _draw_panel(loss_axes, "Loss", losses, validation_losses, history.best, "{:.3g}")
    if spans_decades(losses + validation_losses):
        loss_axes.set_yscale("log")
    if metric == "accuracy":
        _draw_panel(metric_axes, "Accuracy, %", metrics, validation_metrics, history.best, "{:.1f}")
    else:
        _draw_panel(metric_axes, "Mean absolute error", metrics, validation_metrics, history.best, "{:.3g}")
        if spans_decades(metrics + validation_metrics):
            metric_axes.set_yscale("log")
    figure.savefig(path)


def spans_decades(values: Iterable[float]) -> bool:
    """Whether values, finite and positive, lie so far apart that only a logarithmic scale shows the small ones."""
    values = list(values)
    return all(0 < value < math.inf for value in values) and max(values) / min(values) > _DECADES


def _draw_panel(
    axes: Axes, title: str, train: Sequence[float], validation: Sequence[float], best: int, number: str
) -> None:
    from matplotlib.ticker import MaxNLocator

    numbers = range(1, len(train) + 1)
    judged, colour = (validation, VALIDATION_COLOUR) if validation else (train, TRAIN_COLOUR)
    markers = "o" if len(train) <= MAX_MARKED_EPOCHS else ""
    axes.axvline(best + 1, color=GRID, linewidth=6, zorder=0)
    axes.plot(numbers, train, color=TRAIN_COLOUR, marker=markers, markersize=4, linewidth=2, label="training")
    if validation:
        axes.plot(
            numbers, validation, color=VALIDATION_COLOUR, marker=markers, markersize=4, linewidth=2, label="validation"
        )
    axes.plot(best + 1, judged[best], "o", markersize=9, markerfacecolor="white", markeredgewidth=2, color=colour)
    axes.set_title(f"best epoch {best + 1}: {number.format(judged[best])}", loc="right", fontsize=9, color=colour)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel("epoch", fontsize=9, color=FAINT)
    margin = 0.04 * len(train)
    axes.set_xlim(1 - margin, len(train) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.tick_params(which="both", length=0, labelsize=9, labelcolor=FAINT)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
