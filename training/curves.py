"""The picture of a training: loss and accuracy by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.run import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAIN_COLOUR = "#2b6cb0"
VALIDATION_COLOUR = "#dd6b20"
INK = "#1a202c"
FAINT = "#718096"
GRID = "#e2e8f0"
MAX_MARKED_EPOCHS = 30


def draw_curves(history: History, title: str, path: Path) -> None:
    """Writes a PNG, 1500 x 651 pixels: training and validation side by side, the best epoch marked in both."""
    from matplotlib.figure import Figure

    epochs = history.epochs
    figure = Figure(figsize=(10, 4.34), dpi=150, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12)  # type: ignore[union-attr, call-arg]
    figure.suptitle(title, x=0.015, ha="left", fontsize=13, fontweight="bold", color=INK)
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    _draw_panel(
        loss_axes, "Loss", [e.loss for e in epochs], [e.validation_loss for e in epochs], history.best, "{:.3f}"
    )
    _draw_panel(
        accuracy_axes,
        "Accuracy, %",
        [100 * e.accuracy for e in epochs],
        [100 * e.validation_accuracy for e in epochs],
        history.best,
        "{:.1f}",
    )
    figure.savefig(path)


def _draw_panel(
    axes: Axes, title: str, train: Sequence[float], validation: Sequence[float], best: int, number: str
) -> None:
    from matplotlib.ticker import MaxNLocator

    numbers = range(1, len(train) + 1)
    axes.axvline(best + 1, color=GRID, linewidth=6, zorder=0)
    markers = "o" if len(train) <= MAX_MARKED_EPOCHS else ""
    axes.plot(numbers, train, color=TRAIN_COLOUR, marker=markers, markersize=4, linewidth=2, label="training")
    axes.plot(
        numbers, validation, color=VALIDATION_COLOUR, marker=markers, markersize=4, linewidth=2, label="validation"
    )
    axes.plot(
        best + 1,
        validation[best],
        "o",
        markersize=9,
        markerfacecolor="white",
        markeredgewidth=2,
        color=VALIDATION_COLOUR,
    )
    axes.set_title(
        f"best epoch {best + 1}: {number.format(validation[best])}",
        loc="right",
        fontsize=9,
        color=VALIDATION_COLOUR,
    )
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel("epoch", fontsize=9, color=FAINT)
    margin = 0.04 * len(train)
    axes.set_xlim(1 - margin, len(train) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.tick_params(length=0, labelsize=9, labelcolor=FAINT)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
