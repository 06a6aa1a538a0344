"""The ratios of a benchmark as bars: how many times the other's throughput the gateway's is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Row
from benchmarks.servers import GATEWAY
from training.plot_style import FAINT, FAINTER, INK

_BLUES = ("#bee3f8", "#63b3ed", "#2b6cb0", "#1a365d")


def draw(found: Sequence[Row], path: Path) -> None:
    """Writes a PNG; one group of bars per other server and case, one bar per number in flight."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    compared = [row for row in found if row.server != GATEWAY and row.gateway_ratio]
    groups = list(dict.fromkeys((row.case, row.title, row.server) for row in compared))
    levels = sorted({row.in_flight for row in compared})
    height = 0.8 / max(1, len(levels))
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.62 * len(groups)), dpi=150, layout="constrained")
    for number, level in enumerate(levels):
        bars = [
            (groups.index((row.case, row.title, row.server)) + (number + 0.5) * height - 0.4, row.gateway_ratio or 0)
            for row in compared
            if row.in_flight == level
        ]
        colour = _BLUES[number % len(_BLUES)]
        places, widths = [place for place, _ in bars], [ratio - 1 for _, ratio in bars]
        axes.barh(places, widths, height * 0.9, left=1, color=colour, label=f"{level} in flight")
        for place, ratio in bars:
            left = ratio < 1
            axes.annotate(
                f"{ratio:.2f}×",
                (ratio, place),
                (-3 if left else 3, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=7,
                color=INK,
            )
    axes.axvline(1, color=FAINT, linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}×")
    axes.xaxis.set_minor_formatter("")
    smallest, largest = (pick([row.gateway_ratio or 1 for row in compared] or [1]) for pick in (min, max))
    axes.set_xlim(min(0.5, smallest * 0.6), max(2, largest * 1.6))
    axes.set_yticks(range(len(groups)), [f"{server}\n{title}" for _, title, server in groups])
    axes.invert_yaxis()
    axes.tick_params(length=0, labelsize=8, labelcolor=INK, which="both")
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color=FAINTER, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title("atelier's throughput over the other's", loc="left", color=INK, fontsize=11)
    if compared:
        figure.legend(frameon=False, fontsize=8, labelcolor=INK, loc="outside lower right", ncols=len(levels) or 1)
    figure.savefig(path)
    pyplot.close(figure)
