"""The picture of the curves."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from training.curves import draw_curves
from training.run import Epoch, History


@pytest.mark.parametrize("epochs", [1, 5, 500])
def test_a_history_of_any_length_becomes_a_picture(tmp_path: Path, epochs: int) -> None:
    history = History(
        epochs=tuple(
            Epoch(loss=1 / n, accuracy=1 - 1 / n, validation_loss=1.2 / n, validation_accuracy=1 - 1.2 / n, seconds=1)
            for n in range(2, epochs + 2)
        )
    )

    draw_curves(history, "a title", tmp_path / "curves.png")

    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (1500, 651)
