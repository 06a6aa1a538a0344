"""`make train-all`: what is trained again, and the page that comes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.support.run_records import epoch, metrics, written_run
from training import catalogue, reached
from training.catalogue import describe, main
from training.checkpoint import CHECKPOINT
from training.datasets import Dataset
from training.errors import DatasetUnavailableError
from training.reached import read_reached
from training.recipes import Recipe, find_recipe
from training.run import CURVES, Run, read_run
from training.run_folder import is_interrupted, partial_path

DIGITS = find_recipe("digits-dense").with_settings({"epochs": 2})


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Run]:
    """Two runs that only have records."""
    celsius = metrics(0.55, metric="mean_absolute_error", seconds=130.0, examples=8, parameters=2, loss=0.5)
    return {
        "mnist-dense": written_run(tmp_path / "a", find_recipe("mnist-dense"), metrics(0.97, parameters=407_050)),
        "celsius": written_run(tmp_path / "b", find_recipe("celsius"), celsius, epochs=(epoch(0.4, validated=False),)),
    }


def cells(line: str) -> list[str]:
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_is_one_table_with_a_row_for_each_run(runs: dict[str, Run]) -> None:
    table = [line for line in describe(runs).splitlines() if line.startswith("|")]

    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1
    mnist, celsius = cells(table[2]), cells(table[3])
    assert mnist[0] == "`mnist-dense`"
    assert mnist[3:] == [
        "407,050",
        "2",
        "0.6000",
        "**0.9700**",
        "10,000 test",
        "accuracy ≥ 0.978, loss ≤ 0.08 (missed)",
        "10 s",
    ]
    assert celsius[3:] == ["2", "1", "error 0.60", "**error 0.55**", "8 test", "mean absolute error ≤ 2", "2 min"]


def test_the_page_has_a_picture_and_a_sentence_of_every_run(runs: dict[str, Run]) -> None:
    page = describe(runs)

    assert "![loss and accuracy by epoch](images/models/mnist-dense.png)" in page
    assert (
        "In the last epoch 60.0% of the training images were recognized and 50.0% of the validation images: "
        "a gap of 10.0 points."
    ) in page
    assert "## celsius\n\ndegrees Celsius to Fahrenheit, one neuron. Loss 0.5000 at the end." in page
    assert "with keras 3.15.0; code: " in page


class Trainings:
    """Stands in for the trainer: remembers what it trained, and only writes records and a picture."""

    def __init__(self) -> None:
        self.trained: list[tuple[int, bool]] = []

    def __call__(self, recipe: Recipe, _: Dataset, *, out: Path, resume: bool, **__: object) -> Run:
        assert is_interrupted(out) is resume
        self.trained.append((recipe.training.epochs, resume))
        run = written_run(out, recipe)
        (out / CURVES).write_bytes(b"a picture")
        return run


def use(recipe: Recipe, monkeypatch: pytest.MonkeyPatch, *others: Recipe) -> None:
    monkeypatch.setattr(catalogue, "ENTRIES", {recipe.name: recipe for recipe in (recipe, *others)})


@pytest.fixture
def trainings(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """The catalogue has one recipe, which is easily trained."""
    seen = Trainings()
    use(DIGITS, monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reached, "REACHED", tmp_path / "reached.json")
    monkeypatch.setattr(catalogue, "load_dataset", lambda *_: digits)
    monkeypatch.setattr(catalogue, "train", seen)
    return seen


def test_what_is_trained_with_today_s_settings_is_not_trained_again(trainings: Trainings) -> None:
    for _ in range(2):
        main(["digits-dense", "--runs", "runs"])

    assert trainings.trained == [(2, False)]


def test_other_settings_are_trained_anew_in_the_same_place(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["digits-dense", "--runs", "runs"])
    use(DIGITS.with_settings({"epochs": 1}), monkeypatch)
    main(["digits-dense", "--runs", "runs"])

    assert trainings.trained == [(2, False), (1, False)]
    assert read_run(Path("runs/digits-dense")).config.training.epochs == 1


@pytest.mark.parametrize("epochs", [2, 3])
def test_an_interrupted_training_goes_on_unless_its_settings_have_changed(
    trainings: Trainings, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("runs/digits-dense")
    left = written_run(partial_path(path), DIGITS).path
    (left / CHECKPOINT).touch()
    use(DIGITS.with_settings({"epochs": epochs}), monkeypatch)

    main(["digits-dense", "--runs", "runs"])

    assert trainings.trained == [(epochs, epochs == 2)]


def test_all_together_make_the_page(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = dataclasses.replace(DIGITS, name="digits-dense-longer")
    use(DIGITS, monkeypatch, longer)

    assert main(["--runs", "runs"]) == 1

    assert capsys.readouterr().out.splitlines()[-1] == "missed: digits-dense, digits-dense-longer"
    runs = {name: read_run(Path("runs") / name) for name in ("digits-dense", "digits-dense-longer")}
    assert Path("docs/models.md").read_text() == describe(runs)
    picture = Path("docs/images/models/digits-dense.png")
    assert picture.read_bytes() == (runs["digits-dense"].path / CURVES).read_bytes()
    assert {name: outcome.value for name, outcome in read_reached().items()} == {
        "digits-dense": runs["digits-dense"].metrics.value
    }


def test_a_failure_stops_neither_the_others_nor_hides(
    trainings: Trainings, digits: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(name: str, _: object) -> Dataset:
        if name == "nowhere":
            raise DatasetUnavailableError("nowhere is not to be had")
        return digits

    monkeypatch.setattr(catalogue, "load_dataset", load)
    use(dataclasses.replace(DIGITS, name="missing", dataset="nowhere"), monkeypatch, DIGITS)

    assert main(["--runs", "runs"]) == 1

    said = capsys.readouterr().out
    assert "missing failed: nowhere is not to be had" in said
    assert said.splitlines()[-1] == "missed: missing, digits-dense"
    assert sorted(path.name for path in Path("runs").iterdir()) == ["digits-dense"]
    assert "docs/models.md is left as it is" in said
    assert not Path("docs").exists()


def test_a_name_that_nothing_has_is_refused_with_the_known_ones(
    trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["lenet"])

    assert end.value.code == 2
    assert "unknown: lenet; known: digits-dense" in capsys.readouterr().err


def test_where_everything_fails_what_was_reached_before_stays(
    trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> Dataset:
        raise DatasetUnavailableError("no data set is to be had")

    monkeypatch.setattr(catalogue, "load_dataset", load)
    assert main(["--runs", "runs"]) == 1

    assert not Path("docs").exists()
    assert not (tmp_path / "reached.json").exists()


def test_a_target_that_is_reached_is_said_so(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    easy = dataclasses.replace(DIGITS, target=dataclasses.replace(DIGITS.target, accuracy=0.0))
    use(easy, monkeypatch)

    assert main(["digits-dense", "--runs", "runs"]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "every target reached"
