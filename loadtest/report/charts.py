"""The reports' charts: SVG from matplotlib, dark on light, as wide as the page."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from hdrh.histogram import HdrHistogram
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from loadtest.figures import Outcome, percentile_ms
from loadtest.server_figures import Batches, Sample
from loadtest.slo import milliseconds

INK, QUIET, LINE = "#1d2433", "#667085", "#e3e7ef"
COLOURS = ("#2563c9", "#dd6b20", "#1f8a5b", "#8a3ffc", "#d0342c", "#0e7490", "#b45309", "#64748b")
_RED = "#d0342c"
_WIDTH_IN, _ROW_IN = 10.0, 1.95
_METADATA = ("Date", "Creator", "Format", "Type")
_TAILS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "atelier",
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
}

Rows = Sequence[Callable[[Axes], None]]


def timeline(outcome: Outcome, samples: Sequence[Sample], batches: Sequence[Batches]) -> Markup:
    """Latencies, rates, the server's batches and queue, and the generator, above each other on one time axis."""
    rows: list[Callable[[Axes], None]] = []
    if outcome.has_course:
        rows += [lambda axes: _latencies(axes, outcome), lambda axes: _rates(axes, outcome)]
    if samples:
        rows += [lambda axes: _batch_rows(axes, samples, batches), lambda axes: _batch_times(axes, batches)]
    if any(window.lags.get_total_count() for window in outcome.figures.windows):
        rows.append(lambda axes: _generator(axes, outcome))
    with _drawing(len(rows)) as drawing:
        every = drawing.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
        for axes, draw in zip(every, rows, strict=True):
            draw(axes)
            axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), handlelength=1.2, borderaxespad=0.0)
        every[-1].set_xlabel("seconds since the start, by intended send time")
        every[-1].set_xlim(0, max(outcome.seconds, outcome.plan.window_s))
        return _svg(drawing, "Latency, rates, batches and generator over time")


def latency_by_throughput(outcomes: Sequence[tuple[str, Outcome]]) -> Markup:
    """Each window's p99 over what was answered in it."""
    with _drawing(1.8) as drawing:
        axes = drawing.subplots()
        for index, (name, outcome) in enumerate(outcomes):
            points = [(one.answered_per_s, one.percentile_ms(99)) for one in outcome.by_window]
            points = [(rate, p99) for rate, p99 in points if math.isfinite(p99) and p99 > 0]
            if points:
                axes.scatter(*zip(*points, strict=True), s=16, alpha=0.65, color=COLOURS[index], label=name)
        axes.set_xlabel("right answers/s, window by window")
        axes.set_ylabel("p99")
        _logarithmic_ms(axes)
        axes.set_xlim(left=0)
        if len(outcomes) > 1:
            axes.legend(loc="upper left")
        return _svg(drawing, "Latency over throughput, window by window")


def histogram(outcomes: Sequence[tuple[str, HdrHistogram]]) -> Markup:
    """How many answers took how long, both on logarithmic scales."""
    with _drawing(1.8) as drawing:
        axes = drawing.subplots()
        for index, (name, latencies) in enumerate(outcomes):
            edges, counts = _bins(latencies)
            if len(counts):
                axes.stairs(counts, edges, fill=True, alpha=0.35, color=COLOURS[index], label=name)
                axes.stairs(counts, edges, color=COLOURS[index])
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        _in_ms(axes.xaxis, *axes.get_xlim())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel("latency from the intended send time")
        axes.set_ylabel("answers")
        if len(outcomes) > 1:
            axes.legend(loc="upper right")
        return _svg(drawing, "Histogram of latencies")


def tail(outcomes: Sequence[tuple[str, HdrHistogram]]) -> Markup:
    """Latency by percentile; each step to the right is a rarer tail."""
    with _drawing(1.8) as drawing:
        axes = drawing.subplots()
        for index, (name, latencies) in enumerate(outcomes):
            places = [-math.log10(1 - percentile / 100) for percentile in _TAILS]
            values = [percentile_ms(latencies, percentile) for percentile in _TAILS]
            axes.plot(places, values, marker="o", markersize=3.5, color=COLOURS[index], label=name)
            axes.set_xticks(places, [f"{percentile:g}" for percentile in _TAILS])
        axes.set_xlabel("percentile")
        axes.set_ylabel("latency")
        _logarithmic_ms(axes)
        axes.legend(loc="upper left")
        return _svg(drawing, "Latency by percentile")


def over_time(outcomes: Sequence[tuple[str, Outcome]]) -> Markup:
    """The p99 of several tests over time."""
    with _drawing(1.8) as drawing:
        axes = drawing.subplots()
        for index, (name, outcome) in enumerate(outcomes):
            axes.plot(*_series(outcome, 99.0), color=COLOURS[index], label=name)
        axes.set_xlabel("seconds since the start, by intended send time")
        axes.set_ylabel("p99")
        _logarithmic_ms(axes)
        axes.legend(loc="upper left")
        return _svg(drawing, "p99 over time")


def limits(curves: Sequence[tuple[str, Sequence[tuple[float, float, bool]], float | None]]) -> Markup:
    """For each setting its trials, as (requests/s, p99 in ms, met), and the highest rate that met the objective."""
    with _drawing(2.2) as drawing:
        axes = drawing.subplots()
        for index, (name, trials, limit) in enumerate(curves):
            colour = COLOURS[index % len(COLOURS)]
            points = sorted((rate, p99, met) for rate, p99, met in trials if math.isfinite(p99))
            axes.plot([one[0] for one in points], [one[1] for one in points], color=colour, alpha=0.6, label=name)
            for met, marker, fill in ((True, "o", colour), (False, "X", "white")):
                chosen = [one for one in points if one[2] is met]
                axes.scatter(
                    [one[0] for one in chosen], [one[1] for one in chosen], marker=marker, s=42, zorder=3,
                    facecolor=fill, edgecolor=colour,
                )  # fmt: skip
            if limit is not None:
                axes.axvline(limit, color=colour, linestyle=":", linewidth=1.3)
        axes.set_xlabel("requests/s; filled where the objective is met, dotted at the limit")
        axes.set_ylabel("p99")
        _logarithmic_ms(axes)
        axes.set_xlim(left=0)
        axes.legend(loc="upper left")
        return _svg(drawing, "Latency over throughput for each setting")


def _latencies(axes: Axes, outcome: Outcome) -> None:
    for percentile, colour in zip((50.0, 90.0, 99.0), COLOURS, strict=False):
        axes.plot(*_series(outcome, percentile), color=colour, label=f"p{percentile:g}")
    axes.plot(*_series(outcome, 100.0), color=QUIET, linewidth=0.9, label="max")
    for condition in outcome.conditions:
        if condition.figure not in {"errors", "accuracy", "rate"}:
            axes.axhline(condition.bound, color=_RED, linestyle="--", linewidth=1.1, label=condition.text)
    axes.set_ylabel("latency")
    _logarithmic_ms(axes)


def _rates(axes: Axes, outcome: Outcome) -> None:
    at = _seconds(outcome)
    axes.plot(at, [one.due_per_s for one in outcome.by_window], color=QUIET, linestyle="--", label="due")
    axes.plot(at, [one.answered_per_s for one in outcome.by_window], color=COLOURS[0], label="answered")
    failed = [one.errors.total() / one.seconds for one in outcome.by_window]
    axes.fill_between(at, failed, color=_RED, alpha=0.55, step="mid", label="failed", linewidth=0)
    axes.set_ylabel("requests/s")
    axes.set_ylim(bottom=0)


def _batch_rows(axes: Axes, samples: Sequence[Sample], batches: Sequence[Batches]) -> None:
    axes.plot([one.at for one in batches], [one.rows for one in batches], color=COLOURS[2], label="rows in a batch")
    axes.plot([one.at for one in samples], [one.queue_rows for one in samples], color=COLOURS[1], label="rows in queue")
    axes.set_ylabel("server: rows")
    axes.set_ylim(bottom=0)


def _batch_times(axes: Axes, batches: Sequence[Batches]) -> None:
    at = [one.at for one in batches]
    axes.plot(at, [one.run_ms for one in batches], color=COLOURS[2], label="run of a batch")
    axes.plot(at, [one.wait_ms for one in batches], color=COLOURS[1], label="oldest wait")
    axes.set_ylabel("server: mean")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: milliseconds(value)))


def _generator(axes: Axes, outcome: Outcome) -> None:
    at = _seconds(outcome)
    lags = [percentile_ms(figures.windows[0].lags, 99) for figures in outcome.by_window]
    axes.plot(at, lags, color=COLOURS[3], label="p99 of the lag")
    for figures in outcome.by_window:
        if figures.is_saturated:
            begin = figures.windows[0].index * outcome.plan.window_s
            axes.axvspan(begin, begin + outcome.plan.window_s, color=_RED, alpha=0.13, linewidth=0)
    axes.set_ylabel("generator")
    _logarithmic_ms(axes)


def _series(outcome: Outcome, percentile: float) -> tuple[list[float], list[float]]:
    return _seconds(outcome), [figures.percentile_ms(percentile) for figures in outcome.by_window]


def _seconds(outcome: Outcome) -> list[float]:
    width = outcome.plan.window_s
    return [(figures.windows[0].index + 0.5) * width for figures in outcome.by_window]


def _bins(latencies: HdrHistogram) -> tuple[np.ndarray, np.ndarray]:
    """Edges in milliseconds, twenty to a decade, and counts."""
    steps = [
        (math.floor(20 * math.log10(max(step.value_iterated_to, 1))), step.count_added_in_this_iter_step)
        for step in latencies.get_recorded_iterator()
    ]
    if not steps:
        return np.array([]), np.array([])
    low, high = steps[0][0], steps[-1][0] + 1
    counts = np.zeros(high - low)
    for place, count in steps:
        counts[place - low] += count
    return 10.0 ** (np.arange(low, high + 1) / 20) / 1e3, counts


def _logarithmic_ms(axes: Axes) -> None:
    axes.set_yscale("log")
    _in_ms(axes.yaxis, *axes.get_ylim())


def _in_ms(axis: Axis, low: float, high: float) -> None:
    """Labels a logarithmic axis; a short one between the powers of ten, too."""
    axis.set_major_locator(LogLocator(numticks=6))
    if high / low < 30:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: milliseconds(value)))
    axis.set_minor_formatter(NullFormatter())


@contextmanager
def _drawing(rows: float) -> Iterator[Any]:
    with mpl.rc_context(_STYLE):
        yield Drawing(figsize=(_WIDTH_IN, _ROW_IN * rows), layout="constrained")


def _svg(drawing: Drawing, description: str) -> Markup:
    file = io.StringIO()
    drawing.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(_METADATA))
    text = file.getvalue()
    text = text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{description}"', 1)
    return Markup(text)  # noqa: S704 -- matplotlib escapes what it writes
