"""Growth curves: throughput, time and memory over what grows."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.plot_style import FAINT, INK, PALETTE, calm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, *_ = PALETTE
_WRAP = 24


def draw(points: Sequence[Mapping[str, Any]], titles: Mapping[str, str], path: Path) -> None:
    """Writes a PNG of `benchmarks.growth`'s points: a column for each curve."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    figure, grid = pyplot.subplots(
        3,
        len(titles),
        figsize=(2.9 * len(titles) + 0.4, 6.6),
        dpi=130,
        layout="constrained",
        squeeze=False,
        sharex="col",
    )
    for column, (curve, title) in enumerate(titles.items()):
        found = [point for point in points if point["curve"] == curve]
        at = [point["at"] for point in found]
        speed, time, memory = grid[:, column]
        speed.plot(at, [point["images_per_s"] for point in found], "o-", color=_BLUE, ms=4)
        time.plot(at, [point["p99_ms"] for point in found], "o-", color=_ORANGE, ms=4, label="p99")
        time.plot(at, [point["p50_ms"] for point in found], "o:", color=_ORANGE, ms=3, label="p50")
        time.set_yscale("log")
        time.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        time.yaxis.set_major_formatter("{x:g}")
        memory.plot(at, [point["resident_mb"] for point in found], "o-", color=FAINT, ms=4)
        for axes, key in ((speed, "images_per_s"), (memory, "resident_mb")):
            axes.set_ylim(0, 1.15 * max(point[key] for point in found))
            axes.yaxis.set_major_formatter("{x:,.0f}")
        for axes in (speed, time, memory):
            _calm(axes, at)
        memory.set_xlabel(_wrapped(title), color=INK, fontsize=8)
    for row, title in enumerate(("images/s", "ms a request", "MB resident")):
        grid[row, 0].set_title(title, loc="left", color=INK, fontsize=10)
    grid[1, 0].legend(frameon=False, fontsize=8, labelcolor=INK)
    figure.savefig(path)
    pyplot.close(figure)


def _wrapped(title: str) -> str:
    return "\n".join(textwrap.wrap(title, _WRAP))


def _calm(axes: Axes, at: Sequence[int]) -> None:
    """A logarithmic axis with the measured values as ticks, without what is no data."""
    axes.set_xscale("log")
    axes.set_xticks(at, [f"{value:,}" for value in at], rotation=45)
    axes.minorticks_off()
    calm(axes)
    axes.tick_params(labelsize=8)
