"""The report's sections on a regression's predictions for the evaluation split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.datasets import Split
from training.report.charts import Points, scatter_plot
from training.report.html import Html, number, tag
from training.report.page import figure, note, section, table

MAX_ROWS = 50
ROUNDING = 1e-5
"""Of a float32 that went through a few layers, beside the largest of them."""


def regression_sections(split: Split, predictions: np.ndarray) -> Iterator[Html]:
    """The sections, from predictions `[N, 1]`."""
    given, expected, predicted = (
        array[:, 0].astype(np.float64) for array in (split.inputs, split.targets, predictions)
    )
    line = straight_line(given, predicted)
    formula = [] if line is None else [note(f"The model is a straight line: {line}.")]
    yield section("predictions", "Predictions", *formula, _plots(given, expected, predicted))
    yield section("errors", "Errors", *_errors(given, expected, predicted))


def straight_line(given: np.ndarray, predicted: np.ndarray) -> str | None:
    """`1.8 × input + 32`, where the predictions lie on a line to rounding; None where not, or where any two would."""
    if len(np.unique(given)) < 3:
        return None
    around = given - given.mean()
    slope = float(around @ predicted / (around @ around))
    start = float(predicted.mean() - slope * given.mean())
    off = np.abs(slope * given + start - predicted).max()
    if not off <= ROUNDING * np.abs(predicted).max():
        return None
    return f"{number(slope)} × input {'−' if start < 0 else '+'} {number(abs(start))}"


def _plots(given: np.ndarray, expected: np.ndarray, predicted: np.ndarray) -> Html:
    over_input = [Points("truth", given, expected), Points("said", given, predicted)]
    over_expected = [Points("said", expected, predicted)]
    return tag(
        "div",
        figure(
            tag(
                "figcaption",
                tag("span", "expected", class_="key truth"),
                tag("span", "predicted", class_="key said"),
                class_="keys",
            ),
            scatter_plot(over_input, "input"),
        ),
        figure(
            tag("figcaption", tag("span", "predicted; exact on the dashed line", class_="key said"), class_="keys"),
            scatter_plot(over_expected, "expected", diagonal=True),
        ),
        class_="pair",
    )


def _errors(given: np.ndarray, expected: np.ndarray, predicted: np.ndarray) -> Iterator[Html]:
    errors = predicted - expected
    yield note(
        f"The largest is {number(float(np.abs(errors).max()))}, the root of their mean square "
        f"{number(float(np.sqrt(np.mean(errors**2))))}, their mean {number(float(errors.mean()))}."
    )
    shown = np.argsort(-np.abs(errors), kind="stable")[:MAX_ROWS]
    if len(errors) > MAX_ROWS:
        yield note(f"The {MAX_ROWS} largest of {len(errors):,}:")
    yield table(
        ("input", "expected", "predicted", "error"),
        [
            tuple(number(float(array[index])) for array in (given, expected, predicted, errors))
            for index in shown[np.argsort(given[shown], kind="stable")]
        ],
    )
