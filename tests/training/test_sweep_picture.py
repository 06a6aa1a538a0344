"""Where a sweep's axes go in its plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.run_records import metrics
from tests.training.test_sweep_observation import results
from training.sweeps.picture import Layout, draw_sweep, lay_out

UNITS: dict[str, list[Any]] = {"units": [128, 512, 1024]}
EPOCHS: dict[str, list[Any]] = {"epochs": [5, 15]}
NORMALIZE: dict[str, list[Any]] = {"normalize": [True, False]}
SEEDS: dict[str, list[Any]] = {"seed": [0, 1, 2, 3]}


@pytest.mark.parametrize(
    ("axes", "layout"),
    [
        (UNITS, Layout("units", None, ())),
        (NORMALIZE, Layout("normalize", None, ())),
        (NORMALIZE | EPOCHS, Layout("epochs", "normalize", ())),
        (NORMALIZE | EPOCHS | UNITS, Layout("units", "normalize", ("epochs",))),
        (SEEDS | UNITS, Layout("units", None, ())),
        (SEEDS, Layout("seed", None, ())),
        ({"layers": [[512, 256], [128]]} | NORMALIZE, Layout("layers", "normalize", ())),
    ],
)
def test_numbers_go_along_the_picture_and_seeds_above_one_another(axes: dict[str, list[Any]], layout: Layout) -> None:
    assert lay_out(axes) == layout


@pytest.mark.parametrize(
    "axes",
    [
        UNITS,
        NORMALIZE,
        UNITS | EPOCHS | NORMALIZE,
        UNITS | EPOCHS | NORMALIZE | {"augment": [True, False]},
        UNITS | SEEDS,
    ],
)
def test_sweeps_of_one_to_four_axes_become_a_picture(axes: dict[str, list[Any]], tmp_path: Path) -> None:
    draw_sweep(results(axes, lambda **_: metrics(0.9)), "a sweep", tmp_path / "sweep.png")

    with Image.open(tmp_path / "sweep.png") as picture:
        assert picture.format == "PNG"
        assert picture.width >= 1000


def test_points_that_failed_are_missing_from_it(tmp_path: Path) -> None:
    draw_sweep(results(UNITS, lambda units: metrics(0.9) if units > 128 else None), "a sweep", tmp_path / "sweep.png")

    assert (tmp_path / "sweep.png").is_file()


def test_nothing_is_drawn_where_nothing_finished(tmp_path: Path) -> None:
    draw_sweep(results(UNITS, lambda units: None), "a sweep", tmp_path / "sweep.png")

    assert not (tmp_path / "sweep.png").exists()
