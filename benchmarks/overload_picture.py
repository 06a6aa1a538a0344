"""The overload curve: what is answered, and how soon, over what is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"defaults": "#dd6b20", "SLO": "#2b6cb0"}
_INK, _FAINT, _FAINTER = "#1a202c", "#718096", "#e2e8f0"


def draw(document: dict[str, Any], path: Path) -> None:
    """Writes a PNG of `benchmarks.overload`'s figures."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (answers, latency) = pyplot.subplots(1, 2, figsize=(10, 4), dpi=150, layout="constrained")
    capacity, slo_ms = document["capacity_per_s"], document["slo_ms"]
    for gateway, colour in _COLOURS.items():
        points = [point for point in document["points"] if point["gateway"] == gateway]
        offered = [point["offered"] for point in points]
        name = "defaults" if gateway == "defaults" else f"--slo-ms {slo_ms:.0f}"
        answers.plot(offered, [point["answered_per_s"] / capacity for point in points], "o-", color=colour, label=name)
        latency.plot(offered, [point["p99_ms"] for point in points], "o-", color=colour, label=f"{name}, p99")
        latency.plot(offered, [point["p50_ms"] for point in points], "o:", color=colour, ms=3, label=f"{name}, p50")
    answers.axhline(0.9, color=_FAINT, linewidth=0.8, linestyle="--")
    answers.annotate("90 %", (0.25, 0.9), (0, 3), textcoords="offset points", color=_FAINT, fontsize=8)
    answers.set_title(f"Answered, of a capacity of {capacity:,.0f} a second", loc="left", color=_INK, fontsize=11)
    answers.set_ylim(bottom=0)
    latency.axhline(slo_ms, color=_FAINT, linewidth=0.8, linestyle="--")
    latency.annotate("SLO", (2.5, slo_ms), (0, -11), textcoords="offset points", color=_FAINT, fontsize=8)
    twice = 2 * document["unloaded_p99_ms"]
    latency.axhline(twice, color=_FAINT, linewidth=0.8, linestyle=":")
    latency.annotate(
        "twice the unloaded p99", (2.0, twice), (0, 3), textcoords="offset points", color=_FAINT, fontsize=8
    )
    latency.set_title("Milliseconds until the answer", loc="left", color=_INK, fontsize=11)
    latency.set_yscale("log")
    latency.yaxis.set_major_formatter("{x:g}")
    for axes in (answers, latency):
        _calm(axes)
        axes.set_xlabel("asked, in multiples of the capacity", color=_FAINT, fontsize=9)
        axes.legend(frameon=False, fontsize=8, labelcolor=_INK)
    figure.savefig(path)
    pyplot.close(figure)


def _calm(axes: Axes) -> None:
    """Takes off what is no data."""
    axes.tick_params(length=0, labelsize=9, labelcolor=_FAINT)
    axes.grid(axis="y", color=_FAINTER, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_FAINTER)
