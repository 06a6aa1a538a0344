"""What may be set on a recipe, as text or as JSON has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.run_records import written_run
from training.errors import UsageError
from training.recipes import RECIPES, Recipe, find_recipe
from training.run import read_run

CNN = find_recipe("fashion-mnist-cnn")
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("epochs", "7", 7),
        ("learning_rate", "1e-4", 1e-4),
        ("learning_rate_schedule", "one-cycle", "one-cycle"),
        ("optimizer", "sgd", "sgd"),
        ("early_stopping", "3", 3),
        ("stop_at", "val_accuracy=0.9", "validation_accuracy=0.9"),
        ("seed", "4294967295", 2**32 - 1),
        ("layers", "512, 256", [512, 256]),
        ("layers", "", []),
        ("filters", "8", [8]),
        ("padding", "valid", "valid"),
        ("dropout", "0.5", 0.5),
        ("normalize", "false", False),
        ("augment", "true", True),
        ("rotation_degrees", "90", 90.0),
        ("image_size", "32", 32),
        ("colour", "rgb", "rgb"),
    ],
)
def test_text_and_json_set_the_same(key: str, text: str, value: Any) -> None:
    from_text, from_json = CNN.with_settings({key: text}), CNN.with_settings({key: value})

    assert from_text == from_json
    assert from_text.settings == CNN.settings | {key: value}


def test_units_are_short_for_one_layer() -> None:
    assert CNN.with_settings({"units": 64}) == CNN.with_settings({"units": "64"}) == CNN.with_settings({"layers": "64"})


def test_units_and_layers_together_are_refused() -> None:
    with pytest.raises(UsageError, match="units is short for layers with one layer: expected one of the two, received"):
        CNN.with_settings({"units": 64, "layers": "64"})


def test_what_is_not_set_stays_and_the_recipe_itself_too() -> None:
    changed = CNN.with_settings({"epochs": 1})

    assert (changed.training.epochs, CNN.training.epochs) == (1, 10)
    assert changed.settings == CNN.settings | {"epochs": 1}
    assert CNN.with_settings({}) == CNN


def test_an_optional_setting_is_taken_back_by_null() -> None:
    assert CNN.with_settings({"stop_at": "loss=1"}).with_settings({"stop_at": None}) == CNN


@pytest.mark.parametrize(
    ("recipe", "known"),
    [
        (CNN, ["epochs", "stop_at", "filters", "padding", "dropout", "image_size", "augment", "erase", "units"]),
        (find_recipe("celsius"), ["epochs", "learning_rate", "layers", "units"]),
        (find_recipe("fashion-mnist-best"), ["filters", "dropout"]),
    ],
)
def test_an_unknown_key_lists_the_known_ones(recipe: Recipe, known: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        recipe.with_settings({"momentum": 1, "epochs": 2, "lr": 3})

    sentence, _, listed = str(refused.value).partition("; known: ")
    assert sentence == f"recipe {recipe.name} has no setting 'momentum', 'lr'"
    assert (
        set(known)
        <= set(listed.split(", "))
        == recipe.settings.keys() | ({"units"} if "layers" in recipe.settings else set())
    )


@pytest.mark.parametrize("key", ["units", "image_size", "augment", "normalize"])
def test_a_regression_knows_nothing_of_images(key: str) -> None:
    celsius = find_recipe("celsius")
    if key == "units":
        assert celsius.with_settings({key: 4}).settings["layers"] == [4]
        return
    with pytest.raises(UsageError, match=f"^recipe celsius has no setting '{key}'; known: "):
        celsius.with_settings({key: 1})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("epochs", "0", "at least 1"),
        ("epochs", "many", "a whole number"),
        ("epochs", 1.5, "a whole number"),
        ("epochs", 10**23, "at most 2147483647"),
        ("epochs", None, "a whole number"),
        ("batch_size", 0, "at least 1"),
        ("learning_rate", "0", "more than 0"),
        ("learning_rate", "nan", "a finite number"),
        ("learning_rate", "fast", "a number"),
        ("validation_split", "1", "less than 1"),
        ("validation_split", -0.1, "at least 0"),
        ("dropout", 1, "less than 1"),
        ("early_stopping", "0", "at least 1"),
        ("seed", -1, "at least 0"),
        ("seed", 2**32, "at most 4294967295"),
        ("optimizer", "rmsprop", "'adam' or 'sgd'"),
        ("learning_rate_schedule", "linear", "'constant', 'cosine' or 'one-cycle'"),
        ("padding", "full", "'same' or 'valid'"),
        ("layers", "5,x", "a whole number for each"),
        ("layers", "0", "at least 1 for each"),
        ("filters", 3, "numbers, as 512,256"),
        ("augment", "perhaps", "true or false"),
        ("rotation_degrees", "181", "at most 180"),
        ("image_size", 0, "at least 1"),
        ("colour", "sepia", "'grayscale' or 'rgb'"),
        ("stop_at", "accuracy=high", "a number"),
        ("stop_at", "accuracy=2", "a value of 0 to 1 for accuracy, received 2"),
        ("stop_at", "speed=1", "a goal like accuracy=0.95 of accuracy, "),
    ],
)
def test_an_impossible_value_is_refused_with_what_was_expected(key: str, value: Any, expected: str) -> None:
    with pytest.raises(UsageError) as refused:
        CNN.with_settings({key: value})

    assert str(refused.value).startswith(f"{key}: expected {expected}")
    if not expected.startswith(("a value", "a goal")):
        assert str(refused.value) == f"{key}: expected {expected}, received {value!r}"


@every_recipe
def test_no_two_groups_have_a_key_in_common(recipe: Recipe) -> None:
    groups = [group for group in (recipe.training, recipe.architecture, recipe.pixels, recipe.augmentation) if group]

    assert len(recipe.settings) == sum(len(type(group).model_fields) for group in groups)


@every_recipe
def test_the_settings_in_a_run_folder_rebuild_the_recipe(recipe: Recipe, tmp_path: Any) -> None:
    changed = recipe.with_settings({"seed": 3, "learning_rate": 0.1 + 0.2, "stop_at": "loss=0.123456789"})

    config = read_run(written_run(tmp_path / "run", changed).path).config

    assert config.settings == json.loads(json.dumps(changed.settings))
    assert recipe.with_settings(config.settings) == changed
    assert config.training == changed.training
