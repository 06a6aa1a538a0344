"""`atelier recipes`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from atelier.cli import app
from training import reached
from training.reached import Reached, write_reached
from training.recipes import RECIPES


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def reached_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached, "REACHED", tmp_path / "reached.json")
    write_reached({"mnist-dense": Reached(value=0.9812, training_value=0.99, parameters=407_050, epochs=5, seconds=9)})


@pytest.mark.usefixtures("reached_before")
def test_recipes_are_listed_in_a_table_with_what_they_reached() -> None:
    result = run("recipes")

    assert result.exit_code == 0
    for name in RECIPES:
        assert name in result.stdout
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("mnist-dense "))
    assert "28×28" in line
    assert "407,050" in line
    assert line.split()[-1] == "0.9812"


def test_no_column_of_the_recipes_is_cut_off_where_lines_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    lines = run("recipes").stdout.splitlines()

    assert lines[0].split("  ")[-1] == "reached"
    (line,) = (line for line in lines if line.startswith("mnist-dense "))
    assert "classification  mnist " in line
    assert "≥ 0.978, loss ≤ 0.08" in line


@pytest.mark.usefixtures("reached_before")
def test_recipes_are_listed_as_json() -> None:
    listed = {recipe["name"]: recipe for recipe in json.loads(run("recipes", "--json").stdout)}

    assert list(listed) == list(RECIPES)
    assert listed["mnist-dense"]["image"] == {"height": 28, "width": 28, "colour": "grayscale", "resize": "bilinear"}
    assert (listed["mnist-dense"]["reached"], listed["mnist-dense"]["parameters"]) == (0.9812, 407_050)
    assert (listed["celsius"]["reached"], listed["celsius"]["image"]) == (None, None)
    assert listed["celsius"]["settings"] == RECIPES["celsius"].settings
    assert listed["celsius"]["target"] == {"accuracy": None, "loss": None, "mean_absolute_error": 2}
