"""The report's sections on a classifier's answers to the evaluation split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from training.datasets import Split
from training.report.charts import reliability_diagram
from training.report.evaluation import Calibration, calibration, class_figures, confusion_matrix, worst_mistakes
from training.report.html import Html, percent, tag
from training.report.matrix import MAX_CLASSES, confusion_drawing
from training.report.page import figure, note, section, table
from training.report.pixels import picture, spread_over
from training.run import SplitName

SAMPLES = 25
PREDICTIONS = 15
MISTAKES = 12
_BARS = 5
_WELL_CALIBRATED = 0.02
_FEW = 200
"""Below so many examples, fifteen bins hold too few each."""


def classification_sections(
    evaluated_on: SplitName, split: Split, scores: np.ndarray, labels: Sequence[str]
) -> Iterator[Html]:
    """The sections, from scores `[N, len(labels)]` for the images of `split`."""
    guesses = scores.argmax(axis=1)
    shown = spread_over(len(split), SAMPLES)
    yield section(
        "samples",
        "Samples",
        note(f"{len(shown)} of {len(split):,} {evaluated_on} images, evenly spread over them."),
        _samples(split.take(shown), labels),
    )
    yield section("predictions", "Predictions", _cards(split, scores, labels, spread_over(len(split), PREDICTIONS)))
    confusion = confusion_matrix(split.targets, guesses, len(labels))
    yield section("confusion", "Confusion", *_confusion(confusion, labels))
    yield section("classes", "Classes", *_classes(confusion, labels))
    yield section("mistakes", "The worst mistakes", *_mistakes(split, scores, labels))
    yield section("calibration", "Calibration", *_calibration(calibration(scores, split.targets)))


def _samples(examples: Split, labels: Sequence[str]) -> Html:
    return tag(
        "div",
        *(
            figure(picture(image, labels[truth]), tag("figcaption", labels[truth]))
            for image, truth in zip(examples.inputs, examples.targets, strict=True)
        ),
        class_="samples",
    )


def _cards(split: Split, scores: np.ndarray, labels: Sequence[str], chosen: np.ndarray) -> Html:
    examples = split.take(chosen)
    return tag(
        "div",
        *(
            _card(image, int(truth), row, labels)
            for image, truth, row in zip(examples.inputs, examples.targets, scores[chosen], strict=True)
        ),
        class_="cards",
    )


def _card(image: np.ndarray, truth: int, scores: np.ndarray, labels: Sequence[str]) -> Html:
    guess = int(scores.argmax())
    said = tag("b", labels[guess], class_="right" if guess == truth else "wrong")
    is_ = [] if guess == truth else [tag("span", f"is {labels[truth]}")]
    caption = tag("figcaption", said, tag("span", percent(float(scores[guess]))), *is_)
    bars = tag("ol", *(_bar(place, truth, guess, scores, labels) for place in _likeliest(scores, truth)), class_="bars")
    return figure(picture(image, labels[truth]), tag("div", caption, bars), class_="card")


def _likeliest(scores: np.ndarray, truth: int) -> list[int]:
    """The classes with the highest scores, and in the last place the true one where it is not among them."""
    places = [int(place) for place in np.argsort(-scores, kind="stable")[:_BARS]]
    return places if truth in places else [*places[:-1], truth]


def _bar(place: int, truth: int, guess: int, scores: np.ndarray, labels: Sequence[str]) -> Html:
    kind = "right" if place == truth else "wrong" if place == guess else None
    share = float(scores[place])
    width = 100 * min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    return tag(
        "li",
        tag("span", labels[place], class_="name", title=labels[place]),
        tag("span", tag("i", style=f"width:{width:.1f}%", class_=kind), class_="track"),
        tag("span", percent(share, 0), class_="share"),
    )


def _confusion(confusion: np.ndarray, labels: Sequence[str]) -> Iterator[Html]:
    yield note(
        "Rows are what the images are, columns what the model said; the stronger the colour, the larger the share of "
        "the row." + (f" The {MAX_CLASSES} classes with the most mistakes." if len(labels) > MAX_CLASSES else "")
    )
    yield tag("div", confusion_drawing(confusion, labels), class_="wide", tabindex=0)
    mistakes = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_BARS]
    pairs = [divmod(int(place), len(labels)) for place in order if mistakes.flat[place]]
    if pairs:
        said = ", ".join(f"{labels[is_]} called {labels[said]} ({mistakes[is_, said]:,})" for is_, said in pairs)
        yield note(f"Most frequent: {said}.")


def _classes(confusion: np.ndarray, labels: Sequence[str]) -> Iterator[Html]:
    yield note("The hardest first. A dash stands where there is nothing to divide by.")
    figures = class_figures(confusion)
    hardest_first = sorted(figures, key=lambda each: 2.0 if math.isnan(each.f1) else each.f1)
    means = [float(np.nanmean([getattr(each, name) for each in figures])) for name in ("precision", "recall", "f1")]
    yield table(
        ("class", "precision", "recall", "F1", "examples"),
        [
            (labels[each.label], percent(each.precision), percent(each.recall), percent(each.f1), f"{each.support:,}")
            for each in hardest_first
        ],
        ("mean, total", *(percent(mean) for mean in means), f"{int(confusion.sum()):,}"),
    )


def _mistakes(split: Split, scores: np.ndarray, labels: Sequence[str]) -> Iterator[Html]:
    chosen = worst_mistakes(scores, split.targets, MISTAKES)
    if not len(chosen):
        yield note(f"There are none: all {len(split):,} answers are right.")
        return
    wrong = int((scores.argmax(axis=1) != split.targets).sum())
    yield note(f"Of {wrong:,} wrong answers, those the model was surest of.")
    yield _cards(split, scores, labels, chosen)


def _calibration(figures: Calibration) -> Iterator[Html]:
    yield tag("p", describe_calibration(figures))
    yield tag(
        "div",
        figure(reliability_diagram(figures)),
        note(
            "Each bar holds the answers that were given about that probability, and is as tall as the share of them "
            "that is right: on the dashed line, probabilities can be taken at their word. The bars below count the "
            "answers."
        ),
        class_="pair",
    )


def describe_calibration(figures: Calibration) -> str:
    """Whether the probabilities can be believed, in a sentence or two."""
    examples = sum(bin_.examples for bin_ in figures.bins)
    excess = figures.confidence - figures.accuracy
    if figures.error < _WELL_CALIBRATED:
        judged = "Well calibrated"
    elif abs(excess) < figures.error / 2:
        judged = "Unevenly calibrated, too sure of some answers and too unsure of others"
    else:
        judged = "Over-confident" if excess > 0 else "Under-confident"
    few = f" With {examples:,} examples this is no more than a hint." if examples < _FEW else ""
    return (
        f"{judged}: the answers are given {percent(figures.confidence)} on average, and {percent(figures.accuracy)} "
        f"of them are right; the expected calibration error is {percent(figures.error)} ({len(figures.bins)} bins)."
        f"{few}"
    )
