"""The plot of a sweep: the metric over one axis, a line for each value of the next, a panel for the rest."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from pydantic import JsonValue

from training.chance import share_interval
from training.plot_style import FAINT, INK, calm, series_look
from training.run import RunMetrics
from training.sweeps.grid import describe, value_text
from training.sweeps.observation import SEED
from training.sweeps.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_COLUMNS = 3
LOG_FROM_RATIO = 8
"""A numeric axis whose largest value is this many times its smallest is drawn in logarithms."""
MAX_BARS = 4
"""With more lines than this, intervals would hide each other."""
ASIDE = 0.08
"""Between lines over an axis of words, whose values are 1 apart."""


@dataclass(frozen=True)
class Layout:
    """Which axis goes where; seeds go nowhere, their points lie above one another."""

    x: str
    lines: str | None
    panels: tuple[str, ...]


def lay_out(values: Mapping[str, Sequence[JsonValue]]) -> Layout:
    """Takes the numeric axis with the most values as x, the first where none is numeric; then lines, then panels."""
    axes = [axis for axis in values if axis != SEED] or list(values)
    x = max(axes, key=lambda axis: (is_numeric(values[axis]), len(values[axis]) if is_numeric(values[axis]) else 0))
    rest = sorted((axis for axis in axes if axis != x), key=lambda axis: -len(values[axis]))
    return Layout(x, rest[0] if rest else None, tuple(axis for axis in axes if axis in rest[1:]))


def is_numeric(values: Sequence[JsonValue]) -> bool:
    """Whether all are numbers; true and false are none."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def draw_sweep(results: Sequence[Result], title: str, path: Path) -> None:
    """Writes a PNG; points that failed are missing from it. Draws nothing, and writes nothing, where none finished."""
    from matplotlib.figure import Figure

    finished = [(result.settings, result.metrics) for result in results if result.metrics is not None]
    if not finished:
        return
    values = {axis: _distinct(result.settings[axis] for result in results) for axis in results[0].settings}
    layout = lay_out(values)
    panels: dict[str, list[tuple[dict[str, JsonValue], RunMetrics]]] = defaultdict(list)
    for settings, metrics in finished:
        panels[describe({axis: settings[axis] for axis in layout.panels})].append((settings, metrics))
    columns = 2 if len(panels) == 4 else min(len(panels), MAX_COLUMNS)
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(2.6 + 4.4 * columns, 1.2 + 3.3 * rows), dpi=150, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (name, members) in zip(grid.flat, panels.items(), strict=False):
        _draw_panel(axes, name, members, layout, values)
        axes.set_xlabel(layout.x, fontsize=9, color=FAINT)
        axes.tick_params(labelbottom=True)
    _add_words(figure, grid[0, 0], layout, title, finished[0][1])
    figure.supxlabel(
        _footnote(values, layout, finished[0][1], len(results) - len(finished)),
        x=0.99,
        ha="right",
        fontsize=8,
        color=FAINT,
    )
    figure.savefig(path, format="png")


def _draw_panel(
    axes: Axes,
    name: str,
    members: Sequence[tuple[dict[str, JsonValue], RunMetrics]],
    layout: Layout,
    values: Mapping[str, Sequence[JsonValue]],
) -> None:
    numeric = is_numeric(values[layout.x])
    calm(axes)
    axes.set_title(name, loc="left", fontsize=10, color=INK)
    _set_x_axis(axes, values[layout.x], numeric)
    line_values = values[layout.lines] if layout.lines else [None]
    for index, line_value in enumerate(line_values):
        # Lines of words would lie above one another at each word.
        aside = 0.0 if numeric else ASIDE * (index - (len(line_values) - 1) / 2)
        by_place: dict[float, list[RunMetrics]] = defaultdict(list)
        for settings, metrics in members:
            if layout.lines is None or settings[layout.lines] == line_value:
                by_place[_place(settings[layout.x], values[layout.x], numeric) + aside].append(metrics)
        colour, marker = series_look(index)
        places = sorted(by_place)
        means = [fmean(map(_shown, by_place[place])) for place in places]
        axes.plot(
            places,
            means,
            color=colour,
            marker=marker,
            markersize=6,
            linewidth=2 if numeric else 0,
            label=value_text(line_value) if layout.lines else None,
            zorder=3,
        )
        for place in places:
            if _has_repeats(values, layout):
                _draw_repeats(axes, place, by_place[place], colour)
            elif _has_bars(values, layout, by_place[place][0]):
                _draw_interval(axes, place, by_place[place][0], colour)


def _draw_repeats(axes: Axes, place: float, repeats: Sequence[RunMetrics], colour: str) -> None:
    shown = [_shown(one) for one in repeats]
    axes.plot([place] * len(shown), shown, "o", color=colour, markersize=3, alpha=0.5)


def _draw_interval(axes: Axes, place: float, metrics: RunMetrics, colour: str) -> None:
    low, high = share_interval(metrics.value, metrics.examples)
    below, above = 100 * (metrics.value - low), 100 * (high - metrics.value)
    axes.errorbar(place, 100 * metrics.value, [[below], [above]], color=colour, alpha=0.35, linewidth=1.5, capsize=3)


def _set_x_axis(axes: Axes, values: Sequence[JsonValue], numeric: bool) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    places = [_place(value, values, numeric) for value in values]
    low, high = min(places), max(places)
    if numeric and low > 0 and high / low >= LOG_FROM_RATIO:
        axes.set_xscale("log")
        margin = (high / low) ** 0.08
        axes.set_xlim(low / margin, high * margin)
    else:
        margin = 0.08 * (high - low) if numeric and high > low else 0.5
        axes.set_xlim(low - margin, high + margin)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(places, [value_text(value) for value in values])


def _add_words(figure: Figure, axes: Axes, layout: Layout, title: str, metrics: RunMetrics) -> None:
    figure.suptitle(title, x=0.015, ha="left", fontsize=13, fontweight="bold", color=INK)
    unit = ", %" if metrics.metric == "accuracy" else ""
    figure.supylabel(f"{metrics.evaluated_on} {metrics.metric.replace('_', ' ')}{unit}", fontsize=9, color=FAINT)
    if layout.lines:
        figure.legend(
            *axes.get_legend_handles_labels(),
            title=layout.lines,
            loc="outside right upper",
            frameon=False,
            fontsize=9,
            title_fontsize=9,
            alignment="left",
            labelcolor=INK,
        )


def _footnote(values: Mapping[str, Sequence[JsonValue]], layout: Layout, metrics: RunMetrics, missing: int) -> str:
    notes = []
    if _has_repeats(values, layout):
        notes.append("small dots: single seeds")
    elif _has_bars(values, layout, metrics):
        notes.append(f"bars: 95 % interval for {metrics.examples:,} examples")
    if missing:
        notes.append(f"{missing} of the points failed")
    return "; ".join(notes)


def _has_repeats(values: Mapping[str, Sequence[JsonValue]], layout: Layout) -> bool:
    return len(values.get(SEED, ())) > 1 and layout.x != SEED


def _has_bars(values: Mapping[str, Sequence[JsonValue]], layout: Layout, metrics: RunMetrics) -> bool:
    lines = len(values[layout.lines]) if layout.lines else 1
    return metrics.metric == "accuracy" and lines <= MAX_BARS and not _has_repeats(values, layout)


def _shown(metrics: RunMetrics) -> float:
    return 100 * metrics.value if metrics.metric == "accuracy" else metrics.value


def _place(value: JsonValue, values: Sequence[JsonValue], numeric: bool) -> float:
    if numeric and isinstance(value, int | float):
        return float(value)
    return float(values.index(value))


def _distinct(values: Iterable[JsonValue]) -> list[JsonValue]:
    return [json.loads(text) for text in dict.fromkeys(json.dumps(value) for value in values)]
