"""The curves of several runs over one another."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.plot_style import FAINT, INK, calm, series_look
from training.run import Epoch, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_MARKED_EPOCHS = 30
LOG_FROM_RATIO = 20
"""Losses of which the largest is this many times the smallest are drawn in logarithms."""


def draw_comparison(runs: Sequence[Run], names: Sequence[str], path: Path) -> None:
    """Writes a PNG: loss and metric by epoch; a run's validation is solid, its training thin and dashed.

    The metric's panel is left out where the runs have different ones.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    metrics = {run.metrics.metric for run in runs}
    panels: list[tuple[str, Callable[[Epoch], tuple[float, float | None]]]] = [
        ("Loss", lambda epoch: (epoch.loss, epoch.validation_loss))
    ]
    if metrics == {"accuracy"}:
        panels.append(("Accuracy, %", lambda epoch: (100 * epoch.metric, _percent(epoch.validation_metric))))
    elif len(metrics) == 1:
        panels.append(("Mean absolute error", lambda epoch: (epoch.metric, epoch.validation_metric)))
    figure = Figure(
        figsize=(5.2 * len(panels), 4.2 + 0.25 * len(runs)), dpi=150, layout="constrained", facecolor="white"
    )
    for axes, (title, figures) in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True):
        axes.set_title(title, loc="left", fontsize=11, color=INK)
        _draw_panel(axes, runs, figures)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    losses = [loss for run in runs for epoch in run.history.epochs for loss in _losses(epoch)]
    if min(losses) > 0 and max(losses) >= LOG_FROM_RATIO * min(losses):
        figure.axes[0].set_yscale("log")
        figure.axes[0].tick_params(which="minor", length=0)
    handles = [
        Line2D([], [], color=series_look(index)[0], marker=series_look(index)[1], markersize=5, linewidth=2)
        for index, _ in enumerate(names)
    ]
    handles += [Line2D([], [], color=FAINT, linewidth=2), Line2D([], [], color=FAINT, linewidth=1, linestyle="--")]
    # Given apart from the lines, whose own labels are left out where they start with "_".
    labels = [*names, "validation", "training"]
    legend = figure.legend(handles, labels, loc="outside lower left", frameon=False, fontsize=9, labelcolor=INK)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a dollar sign in a folder's name is not the beginning of a formula
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box stands for what the font has not
        figure.savefig(path, format="png")


def _draw_panel(axes: Axes, runs: Sequence[Run], figures: Callable[[Epoch], tuple[float, float | None]]) -> None:
    from matplotlib.ticker import MaxNLocator

    calm(axes)
    axes.set_xlabel("epoch", fontsize=9, color=FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    for index, run in enumerate(runs):
        colour, marker = series_look(index)
        pairs = [figures(epoch) for epoch in run.history.epochs]
        numbers = range(1, len(pairs) + 1)
        marked = marker if len(pairs) <= MAX_MARKED_EPOCHS else ""
        axes.plot(numbers, [training for training, _ in pairs], color=colour, linewidth=1, linestyle="--", alpha=0.8)
        validated = [(number, value) for number, (_, value) in zip(numbers, pairs, strict=True) if value is not None]
        if validated:
            axes.plot(*zip(*validated, strict=True), color=colour, linewidth=2, marker=marked, markersize=4)


def _losses(epoch: Epoch) -> tuple[float, ...]:
    return (epoch.loss,) if epoch.validation_loss is None else (epoch.loss, epoch.validation_loss)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
