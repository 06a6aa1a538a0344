"""The confusion matrix as a drawing that stays legible from 2 classes to 100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.report.html import Html, percent, px, shortened, tag

MAX_CLASSES = 100
"""More than these would be smaller than letters: then only the classes with the most mistakes are drawn."""
FEW = 12
"""So many fit on a telephone; drawings of more are scrolled there."""
_MAX_LABEL = 16


@dataclass(frozen=True)
class _Size:
    """Lengths in px: of a cell's side, of the letters in it (0 leaves the counts out) and of those beside it."""

    cell: float
    count: float
    label: float


def drawn_classes(confusion: np.ndarray) -> np.ndarray:
    """The classes that the drawing shows, in their order."""
    mistakes = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diag(confusion)
    return np.sort(np.argsort(-mistakes, kind="stable")[:MAX_CLASSES])


def confusion_drawing(confusion: np.ndarray, labels: Sequence[str]) -> Html:
    """Counts, true classes down and said ones across; the colour's strength is the share of the row.

    Right answers are blue, mistakes red.
    """
    classes = drawn_classes(confusion)
    size = _size_for(len(classes))
    names = [shortened(labels[place], _MAX_LABEL) for place in classes]
    beside = max(len(name) for name in names) * 0.6 * size.label + 10
    above, side = beside, len(classes) * size.cell
    parts: list[Html] = []
    for place, (index, name) in enumerate(zip(classes, names, strict=True)):
        middle = (place + 0.5) * size.cell
        full = tag("title", labels[index])
        down, across = above + middle + 0.35 * size.label, beside + middle + 0.35 * size.label
        letters = {"font_size": size.label}
        parts.append(tag("text", full, name, x=px(beside - 6), y=px(down), text_anchor="end", **letters))
        if beside > size.label * 3:
            turned = f"translate({px(across)} {px(above - 6)}) rotate(-90)"
            parts.append(tag("text", full, name, transform=turned, **letters))
        else:
            upright = {"x": px(beside + middle), "y": px(above - 8), "text_anchor": "middle"}
            parts.append(tag("text", full, name, **upright, **letters))
    parts.append(tag("rect", x=px(beside), y=px(above), width=side, height=side, class_="empty"))
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    for row, true in enumerate(classes):
        for column, said in enumerate(classes):
            if confusion[true, said]:
                left, top = beside + column * size.cell, above + row * size.cell
                words = f"{labels[true]} called {labels[said]}: "
                words += f"{confusion[true, said]:,} ({percent(float(shares[true, said]))})"
                parts.append(
                    _cell(left, top, size, int(confusion[true, said]), shares[true, said], words, true == said)
                )
    width, height = beside + side + 2, above + side + 2
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {px(width)} {px(height)}",
        width=px(width),
        role="img",
        aria_label="Confusion matrix",
        class_="matrix few" if len(classes) <= FEW else "matrix",
    )


def _cell(left: float, top: float, size: _Size, count: int, share: float, words: str, right: bool) -> Html:
    # The square root lets the few mistakes of a good model be seen beside its many right answers.
    strength = f"{0.08 + 0.92 * share**0.5:.2f}" if not right else f"{0.08 + 0.92 * share:.2f}"
    box = {"x": px(left + 0.5), "y": px(top + 0.5), "width": px(size.cell - 1), "height": px(size.cell - 1)}
    parts = [tag("rect", **box, class_="right" if right else "wrong", fill_opacity=strength)]
    if size.count:
        letter = min(size.count, 1.4 * size.cell / len(str(count)))
        middle, foot = left + size.cell / 2, top + size.cell / 2 + 0.35 * letter
        strong = "strong" if float(strength) > 0.5 else None
        letters = {"text_anchor": "middle", "font_size": px(letter), "class_": strong}
        parts.append(tag("text", f"{count}", x=px(middle), y=px(foot), **letters))
    return tag("g", tag("title", words), *parts)


def _size_for(classes: int) -> _Size:
    if classes <= FEW:
        return _Size(cell=44, count=13, label=13)
    if classes <= 30:
        return _Size(cell=27, count=10, label=11)
    return _Size(cell=8.5, count=0, label=8)
