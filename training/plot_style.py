"""How the plots of several runs look: one palette, few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1a202c"
FAINT = "#718096"
FAINTER = "#e2e8f0"
PALETTE = ("#2b6cb0", "#dd6b20", "#2f855a", "#b83280", "#6b46c1", "#b7791f", "#0987a0", "#4a5568")
MARKERS = ("o", "s", "^", "D")


def series_look(index: int) -> tuple[str, str]:
    """Colour and marker of the series of that number; colours come again with another marker."""
    return PALETTE[index % len(PALETTE)], MARKERS[index // len(PALETTE) % len(MARKERS)]


def calm(axes: Axes) -> None:
    """Takes off what is no data: frames and ticks; leaves faint horizontal lines."""
    axes.tick_params(length=0, labelsize=9, labelcolor=FAINT)
    axes.grid(axis="y", color=FAINTER, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINTER)
