"""The report's charts, as SVG in the page's own colours; what can be pointed at says its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.curves import MAX_MARKED_EPOCHS, spans_decades
from training.report.axes import Axis, decade_axis, epoch_axis, share_axis, value_axis
from training.report.evaluation import Calibration
from training.report.html import Html, number, percent, px, tag

WIDTH, HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, WIDTH - 22, 12, HEIGHT - 42
_COUNTS = 30
"""Height of the histogram below the reliability diagram."""
_MAX_POINTS = 1000


@dataclass(frozen=True)
class Line:
    """A value for each epoch, in the colour of the CSS class `name`."""

    name: str
    values: Sequence[float]


def line_chart(lines: Sequence[Line], best: int, *, shares: bool, description: str) -> Html:
    """Lines by epoch; the epoch at index `best` is marked, on the last line with a ring.

    `shares` are written as per cent; other values that span decades get a logarithmic scale.
    """
    epochs = len(lines[0].values)
    values = [value for line in lines for value in line.values]
    x = epoch_axis(epochs, _LEFT, _RIGHT)
    fitting = decade_axis if not shares and spans_decades(values) else value_axis
    y = fitting(values, _BOTTOM, _TOP)
    write = _per_cent if shares else number
    parts = [_stroke(x.at(best + 1), _BOTTOM, x.at(best + 1), _TOP, "best"), *_frame(x, y, write, "epoch")]
    for line in lines:
        places = [
            (x.at(index + 1), y.at(line.values[index]))
            for index in thinned(epochs)
            if math.isfinite(line.values[index])
        ]
        path = "L".join(f"{px(left)} {px(top)}" for left, top in places)
        parts.append(tag("path", d=f"M{path}", class_=f"line {line.name}"))
        if epochs <= MAX_MARKED_EPOCHS:
            parts += [_dot(left, top, 3, f"dot {line.name}") for left, top in places]
    judged = lines[-1]
    if math.isfinite(judged.values[best]):
        parts.append(_dot(x.at(best + 1), y.at(judged.values[best]), 5.5, f"ring {judged.name}"))
    return _drawing(parts, description)


def reliability_diagram(calibration: Calibration) -> Html:
    """How often the answers of each bin are right, over the probability they were given; below, how many they are."""
    x, y = share_axis(_LEFT, _RIGHT), share_axis(_BOTTOM - _COUNTS - 8, _TOP)
    counts = Axis(0, max(bin_.examples for bin_ in calibration.bins), _BOTTOM, _BOTTOM - _COUNTS, ())
    parts = list(_frame(x, y, _per_cent, "probability given"))
    for bin_ in calibration.bins:
        if bin_.examples:
            said = (
                f"{percent(bin_.low, 0)} to {percent(bin_.high, 0)}: {bin_.examples:,} answers, "
                f"given {percent(bin_.confidence)} on average, {percent(bin_.accuracy)} right"
            )
            left, right = x.at(bin_.low) + 1, x.at(bin_.high) - 1
            parts += [
                _bar(left, right, y.at(bin_.accuracy), y.start, "share", said),
                _bar(left, right, min(counts.at(bin_.examples), _BOTTOM - 1), _BOTTOM, "count", said),
            ]
    parts.append(_stroke(x.at(0), y.at(0), x.at(1), y.at(1), "diagonal"))
    return _drawing(parts, "Reliability diagram")


@dataclass(frozen=True)
class Points:
    """Points `[N]`, in the colour of the CSS class `name`."""

    name: str
    x: np.ndarray
    y: np.ndarray


def scatter_plot(groups: Sequence[Points], title: str, *, diagonal: bool = False) -> Html:
    """Points over an axis with a title; where asked, the line on which y equals x."""
    everything = [np.concatenate([group.x for group in groups]), np.concatenate([group.y for group in groups])]
    if diagonal:
        everything = [np.concatenate(everything)] * 2
    x, y = value_axis(everything[0].tolist(), _LEFT, _RIGHT), value_axis(everything[1].tolist(), _BOTTOM, _TOP)
    parts = list(_frame(x, y, number, title))
    if diagonal:
        parts.append(_stroke(x.at(x.low), y.at(y.low), x.at(x.high), y.at(y.high), "diagonal"))
    for group in groups:
        for index in thinned(len(group.x)):
            left, top = float(group.x[index]), float(group.y[index])
            if math.isfinite(left) and math.isfinite(top):
                parts.append(_dot(x.at(left), y.at(top), 4, f"point {group.name}", f"{number(left)}, {number(top)}"))
    return _drawing(parts, title)


def thinned(length: int) -> Sequence[int]:
    """All indices, or a thousand evenly spaced ones where there are more."""
    if length <= _MAX_POINTS:
        return range(length)
    return [int(index) for index in np.linspace(0, length - 1, _MAX_POINTS).round()]


def _drawing(parts: Sequence[Html], description: str) -> Html:
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=description, class_="chart")


def _frame(x: Axis, y: Axis, write: Callable[[float], str], title: str) -> Iterator[Html]:
    for tick in y.ticks:
        top = y.at(tick)
        yield _stroke(_LEFT - 6, top, _RIGHT + 6, top, "grid")
        yield tag("text", write(tick), x=_LEFT - 12, y=px(top + 4), text_anchor="end")
    in_per_cent = write is _per_cent and x.high <= 1
    for tick in x.ticks:
        written = _per_cent(tick) if in_per_cent else number(tick)
        yield tag("text", written, x=px(x.at(tick)), y=_BOTTOM + 18, text_anchor="middle")
    yield tag("text", title, x=px((_LEFT + _RIGHT) / 2), y=HEIGHT - 6, text_anchor="middle", class_="title")


def _stroke(x1: float, y1: float, x2: float, y2: float, name: str) -> Html:
    return tag("line", x1=px(x1), y1=px(y1), x2=px(x2), y2=px(y2), class_=name)


def _dot(left: float, top: float, radius: float, name: str, said: str = "") -> Html:
    said_parts = [tag("title", said)] if said else []
    return tag("circle", *said_parts, cx=px(left), cy=px(top), r=radius, class_=name)


def _bar(left: float, right: float, top: float, bottom: float, name: str, said: str) -> Html:
    box = {"x": px(left), "y": px(top), "width": px(right - left), "height": px(bottom - top)}
    return tag("rect", tag("title", said), **box, class_=name)


def _per_cent(share: float) -> str:
    return f"{100 * share:g}%"
