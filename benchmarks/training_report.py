"""From rounds of training to a table: medians, and how much faster than the plain script."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from benchmarks.machine import in_a_sentence

PLAIN, OURS, OURS_LIKE_PLAIN = "plain script", "atelier", "atelier, as plain"
PACKAGES = ("atelier", "tensorflow", "keras", "numpy")
TOLERATED_LOSS = 0.005
"""Of accuracy: half a point."""

_HEAD = f"""# Training benchmark

`{PLAIN}` is the course's: Keras `fit` on numpy arrays, batch 32, Adam at 0.001, all training images. `{OURS}` is
`atelier train` with the recipe's own settings, which hold a tenth of the images out and validate after every epoch.
`{OURS_LIKE_PLAIN}` has the plain script's settings: batch 32, the same rate, all images. Alternating, medians.
"""


@dataclass(frozen=True)
class Round:
    """One training in a process of its own; `seconds` are those of the epochs, `process_seconds` of everything."""

    recipe: str
    epochs: int
    contestant: str
    seconds: float
    accuracy: float
    process_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Row:
    """Medians over the rounds of one contestant on one recipe."""

    recipe: str
    epochs: int
    contestant: str
    rounds: int
    seconds: float
    accuracy: float
    process_seconds: float
    peak_mb: float
    times_faster: float
    """The plain script's seconds of training over this one's."""
    accuracy_gain: float
    """This one's accuracy less the plain script's."""


def medians(rounds: Sequence[Round]) -> list[Row]:
    """By recipe and contestant, in the order in which they were first measured; the plain script is among them."""
    order = list(dict.fromkeys((one.recipe, one.contestant) for one in rounds))
    groups = {key: [one for one in rounds if (one.recipe, one.contestant) == key] for key in order}
    return [_row(group, groups[recipe, PLAIN]) for (recipe, _), group in groups.items()]


def _row(group: Sequence[Round], plain: Sequence[Round]) -> Row:
    seconds = statistics.median(one.seconds for one in group)
    accuracy = statistics.median(one.accuracy for one in group)
    return Row(
        recipe=group[0].recipe,
        epochs=group[0].epochs,
        contestant=group[0].contestant,
        rounds=len(group),
        seconds=seconds,
        accuracy=accuracy,
        process_seconds=statistics.median(one.process_seconds for one in group),
        peak_mb=statistics.median(one.peak_mb for one in group),
        times_faster=statistics.median(one.seconds for one in plain) / seconds,
        accuracy_gain=accuracy - statistics.median(one.accuracy for one in plain),
    )


def less_accurate(rows: Sequence[Row]) -> list[Row]:
    """Those of ours that lose more than half a point."""
    return [row for row in rows if row.accuracy_gain < -TOLERATED_LOSS]


def as_markdown(rows: Sequence[Row], machine: Mapping[str, str]) -> str:
    """The whole report."""
    return "\n".join((_HEAD, *_lines(rows, machine))) + "\n"


def _lines(rows: Sequence[Row], machine: Mapping[str, str]) -> Iterator[str]:
    yield in_a_sentence(machine)
    yield ", ".join(f"{name} {machine[name]}" for name in PACKAGES) + "."
    for recipe, group in groupby(rows, key=lambda row: row.recipe):
        found = list(group)
        yield from (
            "",
            f"## {recipe}, {found[0].epochs} epochs, {found[0].rounds} rounds",
            "",
            "| trainer | s of training | times faster | test accuracy | s in all | peak MB |",
            "|---|--:|--:|--:|--:|--:|",
        )
        for row in found:
            faster = "" if row.contestant == PLAIN else f"{row.times_faster:.2f}×"
            figures = f"{row.accuracy:.4f} | {row.process_seconds:.1f} | {row.peak_mb:.0f}"
            yield f"| {row.contestant} | {row.seconds:.1f} | {faster} | {figures} |"
