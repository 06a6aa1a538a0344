"""The overload curve: what is answered, and how soon, over what is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.plot_style import FAINT, INK, PALETTE, calm

_COLOURS = {"defaults": PALETTE[1], "SLO": PALETTE[0]}


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
    answers.axhline(0.9, color=FAINT, linewidth=0.8, linestyle="--")
    answers.annotate("90 %", (0.25, 0.9), (0, 3), textcoords="offset points", color=FAINT, fontsize=8)
    answers.set_title(f"Answered, of a capacity of {capacity:,.0f} a second", loc="left", color=INK, fontsize=11)
    answers.set_ylim(bottom=0)
    latency.axhline(slo_ms, color=FAINT, linewidth=0.8, linestyle="--")
    latency.annotate("SLO", (2.5, slo_ms), (0, -11), textcoords="offset points", color=FAINT, fontsize=8)
    twice = 2 * document["unloaded_p99_ms"]
    latency.axhline(twice, color=FAINT, linewidth=0.8, linestyle=":")
    latency.annotate(
        "twice the unloaded p99", (2.0, twice), (0, 3), textcoords="offset points", color=FAINT, fontsize=8
    )
    latency.set_title("Milliseconds until the answer", loc="left", color=INK, fontsize=11)
    latency.set_yscale("log")
    latency.yaxis.set_major_formatter("{x:g}")
    for axes in (answers, latency):
        calm(axes)
        axes.set_xlabel("asked, in multiples of the capacity", color=FAINT, fontsize=9)
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    figure.savefig(path)
    pyplot.close(figure)
