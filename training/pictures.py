"""Pictures of what a model says about images: each image beside its class scores, as in the course."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.datasets import Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT = "#2563c9"
WRONG = "#d0342c"
_OTHER = "#c3c8d2"
_INK = "#20262f"
_COLUMNS = 4


def draw_predictions(split: Split, scores: np.ndarray, labels: Sequence[str], title: str, path: Path) -> None:
    """Draws every image of `split` beside its row of `scores` (`[N, len(labels)]`, 0..1): blue is right, red is wrong.

    Where the guess is wrong, the true class's bar is blue, so that both are seen.
    """
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(split))
    rows = math.ceil(len(split) / columns)
    figure = Figure(figsize=(3.9 * columns, 0.75 + 2.1 * rows), layout="constrained", facecolor="white")
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold", color=_INK)
    axes = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[1.15, 1.0] * columns)
    for cell in axes.flat:
        cell.axis("off")
    for position, (image, truth, row) in enumerate(zip(split.inputs, split.targets, scores, strict=True)):
        line, column = divmod(position, columns)
        _draw_image(axes[line, 2 * column], image, int(truth), row, labels)
        _draw_bars(axes[line, 2 * column + 1], int(truth), row, labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_image(axes: Axes, image: np.ndarray, truth: int, scores: np.ndarray, labels: Sequence[str]) -> None:
    guess = int(scores.argmax())
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    colour = RIGHT if guess == truth else WRONG
    said = f"{labels[guess]} {scores[guess]:.0%}"
    axes.set_title(said if guess == truth else f"{said}\n(is {labels[truth]})", fontsize=10, color=colour)


def _draw_bars(axes: Axes, truth: int, scores: np.ndarray, labels: Sequence[str]) -> None:
    guess = int(scores.argmax())
    colours = [_OTHER] * len(labels)
    colours[guess] = WRONG
    colours[truth] = RIGHT
    places = np.arange(len(labels))
    axes.axis("on")
    axes.barh(places, scores, color=colours, height=0.75)
    axes.set(xlim=(0, 1), ylim=(len(labels) - 0.5, -0.5), xticks=[], yticks=places)
    axes.set_yticklabels(labels, fontsize=7, color=_INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.spines["left"].set(visible=True, color=_OTHER)
