"""The picture of the curves."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PIL import Image

from training.curves import draw_curves, spans_decades
from training.run import Epoch, History, MetricName


@pytest.mark.parametrize("metric", ["accuracy", "mean_absolute_error"])
@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("epochs", [1, 5, 500])
def test_a_history_of_any_length_becomes_a_picture(
    tmp_path: Path, epochs: int, validated: bool, metric: MetricName
) -> None:
    history = History(
        epochs=tuple(
            Epoch(
                loss=1 / n,
                metric=1 - 1 / n,
                validation_loss=1.2 / n if validated else None,
                validation_metric=1 - 1.2 / n if validated else None,
                seconds=1,
            )
            for n in range(2, epochs + 2)
        )
    )

    draw_curves(history, metric, "a title with $5 and $6 in it", tmp_path / "curves.png")

    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (1500, 651)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2000.0, 0.1], True), ([0.6, 0.1], False), ([10.0, 0.0], False), ([math.inf, 1.0], False), ([math.nan], False)],
)
def test_only_positive_values_of_different_magnitudes_span_decades(values: list[float], expected: bool) -> None:
    assert spans_decades(values) is expected
