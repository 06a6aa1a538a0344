"""The grid of a sweep and its points."""

from __future__ import annotations

import pytest

from training.errors import UsageError
from training.recipes import find_recipe
from training.sweeps.grid import Point, describe, parse_grid, points, value_text

DENSE = find_recipe("mnist-dense")
ISSUE = ["units=128,512,1024", "epochs=5,15", "normalize=true,false"]


def grid_points(*axes: str, common: tuple[str, ...] = ()) -> tuple[Point, ...]:
    return points(DENSE, parse_grid(DENSE, axes, common))


def test_every_combination_is_a_point_and_the_last_axis_changes_fastest() -> None:
    found = grid_points(*ISSUE)

    assert len(found) == 12
    assert [describe(point.settings) for point in found[:3]] == [
        "units=128 epochs=5 normalize=true",
        "units=128 epochs=5 normalize=false",
        "units=128 epochs=15 normalize=true",
    ]
    assert found[-1].recipe == DENSE.with_settings({"units": "1024", "epochs": "15", "normalize": "false"})


def test_values_are_read_as_the_recipe_reads_them() -> None:
    (point, _) = grid_points("learning_rate=1e-2,0.5")

    assert point.settings == {"learning_rate": 0.01}
    assert point.folder == "learning_rate=0.01"


def test_a_list_within_the_values_has_plus_signs() -> None:
    found = grid_points("layers=512+256,128")

    assert [point.settings["layers"] for point in found] == [[512, 256], [128]]
    assert [point.folder for point in found] == ["layers=512+256", "layers=128"]


def test_a_plus_sign_elsewhere_is_part_of_the_value() -> None:
    assert [point.settings["learning_rate"] for point in grid_points("learning_rate=1e+0,1e-2")] == [1.0, 0.01]


def test_a_goal_is_a_value_with_an_equals_sign() -> None:
    (first, _) = grid_points("stop_at=accuracy=0.95,loss=0.4")

    assert first.settings == {"stop_at": "accuracy=0.95"}


def test_a_points_folder_names_all_that_was_given_in_one_order() -> None:
    names = {
        grid_points("units=128,512", "epochs=5", common=("seed=3",))[0].folder,
        grid_points("epochs=5,15", "units=128", "seed=3")[0].folder,
    }

    assert names == {"epochs=5,seed=3,units=128"}


def test_what_has_one_value_only_is_not_told_as_varying() -> None:
    assert dict(grid_points("units=128,512", "epochs=5")[0].settings) == {"units": 128}
    assert dict(grid_points("units=128", "epochs=5")[0].settings) == {"units": 128, "epochs": 5}


def test_a_folders_name_is_short_and_plain_whatever_the_values_are() -> None:
    sizes = "+".join(["1024"] * 60)
    found = grid_points(f"layers={sizes},{sizes}+1")

    assert len({point.folder for point in found}) == 2
    assert all(len(point.folder) < 140 for point in found)


def test_points_of_one_image_size_come_together() -> None:
    recipe = find_recipe("cats-vs-dogs")
    found = points(recipe, parse_grid(recipe, ["epochs=1,2", "image_size=64,150"]))

    assert [describe(point.settings) for point in found] == [
        "epochs=1 image_size=64",
        "epochs=2 image_size=64",
        "epochs=1 image_size=150",
        "epochs=2 image_size=150",
    ]


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ([], "a sweep needs a grid: expected --grid key=value,value, received none"),
        (["units"], "expected key=value,value, received 'units'"),
        (["=5"], "expected key=value,value, received '=5'"),
        (["units="], "expected key=value,value, received 'units='"),
        (["units=128,"], "expected units=value,value without an empty value, received 'units=128,'"),
        (["units=128", "units=512"], "units was given twice; expected all its values in one list, as units=value,val"),
        (["units=5,05"], "the grid has units=5 twice; expected different values"),
        (["width=5"], "recipe mnist-dense has no setting 'width'; known: "),
        (["epochs=5,many"], "epochs: expected a whole number"),
        (["units=5", "layers=5+6"], "units is short for layers with one layer"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_in_a_sentence(axes: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        grid_points(*axes)

    assert str(raised.value).startswith(sentence)


def test_a_key_of_the_grid_cannot_be_set_for_all_points_too() -> None:
    with pytest.raises(UsageError, match="epochs was given twice"):
        grid_points("epochs=5,15", common=("epochs=3",))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "none"),
        (5, "5"),
        (1e-5, "1e-05"),
        (40.0, "40"),
        ([512, 256], "512+256"),
        ("adam", "adam"),
    ],
)
def test_values_are_written_as_a_grid_has_them(value: object, text: str) -> None:
    assert value_text(value) == text  # type: ignore[arg-type]
