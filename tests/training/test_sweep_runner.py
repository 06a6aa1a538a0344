"""Going through a grid, with a training that only writes its records."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.run_records import A_CHECKSUM, metrics, written_run
from training.errors import RunError, TrainingError, UsageError
from training.recipes import Recipe, find_recipe
from training.run import Run, read_run
from training.sweeps.grid import parse_grid
from training.sweeps.record import RESULTS, SWEEP, Sweep, best, read_sweep
from training.sweeps.runner import Plan, check_same_data, data_form, plan_sweep, run_sweep

DENSE = find_recipe("mnist-dense")
GRID = ("units=128,512", "epochs=5,15")


class Trainings:
    """Stands in for the trainer: remembers what it trained, and fails where it is told to."""

    def __init__(self, failing: Callable[[Recipe], bool] = lambda _: False, cause: type[BaseException] = TrainingError):
        self.trained: list[str] = []
        self._failing, self._cause = failing, cause

    def __call__(self, recipe: Recipe, path: Path) -> Run:
        if self._failing(recipe):
            raise self._cause("the loss became nan in epoch 1")
        self.trained.append(path.name)
        (layer,) = recipe.settings["layers"]
        return written_run(path, recipe, metrics(round(0.8 + layer / 10_000, 4), seconds=float(recipe.training.epochs)))


def planned(folder: Path, *axes: str, common: tuple[str, ...] = (), recipe: Recipe = DENSE) -> Plan:
    return plan_sweep(recipe, parse_grid(recipe, axes, common), folder)


def swept(folder: Path, *axes: str, trainings: Trainings | None = None, lines: list[str] | None = None) -> Sweep:
    told: list[str] = [] if lines is None else lines
    return run_sweep(planned(folder, *axes), trainings or Trainings(), told.append)


def test_each_point_becomes_a_run_folder_and_all_of_them_a_record(tmp_path: Path) -> None:
    lines: list[str] = []
    done = swept(tmp_path / "sweep", *GRID, lines=lines)

    assert lines == [
        "point 1 of 4: units=128 epochs=5",
        "point 2 of 4: units=128 epochs=15",
        "point 3 of 4: units=512 epochs=5",
        "point 4 of 4: units=512 epochs=15",
    ]
    assert read_sweep(tmp_path / "sweep") == done
    assert done.dataset_sha256 == {"28×28 grayscale": A_CHECKSUM}
    assert done.grid == {"units": ("128", "512"), "epochs": ("5", "15")}
    for result in done.results:
        assert read_run(tmp_path / "sweep" / result.folder).metrics == result.metrics
    assert done.observation


def test_results_are_a_table_for_spreadsheets_too(tmp_path: Path) -> None:
    swept(tmp_path, *GRID, trainings=Trainings(lambda recipe: recipe.training.epochs == 15))

    with (tmp_path / RESULTS).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["units"], row["epochs"], row["value"], row["failure"]) for row in rows[:2]] == [
        ("128", "5", "0.8128", ""),
        ("128", "15", "", "the loss became nan in epoch 1"),
    ]


def test_the_same_again_trains_nothing(tmp_path: Path) -> None:
    first = swept(tmp_path, *GRID)
    trainings, lines = Trainings(), list[str]()
    second = swept(tmp_path, *GRID, trainings=trainings, lines=lines)

    assert trainings.trained == []
    assert second == first
    assert lines[0] == "point 1 of 4: units=128 epochs=5, finished before"


def test_an_interrupted_sweep_keeps_what_is_finished_and_goes_on(tmp_path: Path) -> None:
    stopping = Trainings(lambda recipe: recipe.settings["layers"] == [512], KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, *GRID, trainings=stopping)
    on_disk = read_sweep(tmp_path)
    assert on_disk is not None
    assert [result.metrics is not None for result in on_disk.results] == [True, True, False, False]
    assert on_disk.observation == ()

    trainings = Trainings()
    swept(tmp_path, *GRID, trainings=trainings)

    assert trainings.trained == ["epochs=5,units=512", "epochs=15,units=512"]


def test_a_larger_grid_in_the_same_folder_reuses_what_is_there(tmp_path: Path) -> None:
    swept(tmp_path, *GRID)
    plan = planned(tmp_path, "epochs=5,15,30", "units=128,512")

    assert plan.is_other_grid
    assert len(plan.finished) == 4
    assert [point.folder for point in plan.waiting] == ["epochs=30,units=128", "epochs=30,units=512"]


def test_a_point_is_known_by_its_settings_under_another_name_too(tmp_path: Path) -> None:
    swept(tmp_path, "units=128,512")
    plan = planned(tmp_path, "units=128,512", "normalize=true,false")

    assert len(plan.finished) == 2
    done = run_sweep(plan, Trainings(), lambda _: None)
    assert [result.folder for result in done.results] == [
        "units=128",
        "normalize=false,units=128",
        "units=512",
        "normalize=false,units=512",
    ]


def test_a_point_that_fails_is_told_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    lines: list[str] = []
    failing = Trainings(lambda recipe: recipe.settings["layers"] == [128])
    done = swept(tmp_path, "units=128,512", trainings=failing, lines=lines)

    assert "failed: the loss became nan in epoch 1" in lines
    assert [result.failure for result in done.results] == ["the loss became nan in epoch 1", None]
    assert failing.trained == ["units=512"]


def test_points_that_failed_are_tried_again(tmp_path: Path) -> None:
    swept(tmp_path, *GRID, trainings=Trainings(lambda recipe: recipe.training.epochs == 15))
    trainings = Trainings()
    done = swept(tmp_path, *GRID, trainings=trainings)

    assert len(trainings.trained) == 2
    assert [result.failure for result in done.results] == [None] * 4


def test_a_sweep_in_which_all_fails_says_so(tmp_path: Path) -> None:
    done = swept(tmp_path, *GRID, trainings=Trainings(lambda _: True))

    assert best(done.results) is None
    assert done.observation == ("No point finished.",)


def test_nothing_is_written_or_trained_before_all_points_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="epochs"):
        planned(tmp_path / "sweep", "units=128,512", "epochs=5,0")

    assert not (tmp_path / "sweep").exists()


def test_another_recipes_folder_is_refused(tmp_path: Path) -> None:
    swept(tmp_path, *GRID)

    with pytest.raises(UsageError, match=r"holds a sweep of mnist-dense, not of digits-dense; name another folder"):
        planned(tmp_path, *GRID, recipe=find_recipe("digits-dense"))


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(UsageError, match="is not empty and holds no sweep"):
        planned(tmp_path, *GRID)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="is a file; expected a folder for the sweep"):
        planned(tmp_path / "file", *GRID)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / SWEEP).write_text('{"recipe": "mnist-dense"}')

    with pytest.raises(RunError, match=r"sweep.json is damaged: grid: Field required"):
        planned(tmp_path, *GRID)


def test_a_run_of_that_name_with_other_settings_is_not_taken_for_the_point(tmp_path: Path) -> None:
    swept(tmp_path, *GRID)
    config = tmp_path / "epochs=5,units=128" / "config.json"
    record = json.loads(config.read_text())
    record["settings"]["batch_size"] = 7
    config.write_text(json.dumps(record))

    with pytest.raises(UsageError, match=r"epochs=5,units=128 was trained with other settings than recipe mnist-dense"):
        planned(tmp_path, *GRID)


def test_what_is_set_for_all_points_is_part_of_each(tmp_path: Path) -> None:
    plan = planned(tmp_path, "units=128,512", common=("seed=3",))

    assert [point.recipe.training.seed for point in plan.points] == [3, 3]
    assert [point.folder for point in plan.points] == ["seed=3,units=128", "seed=3,units=512"]


def test_other_data_than_the_finished_points_saw_is_refused() -> None:
    form = data_form(DENSE.image)
    check_same_data({}, form, "b" * 64)
    check_same_data({form: "b" * 64}, form, "b" * 64)

    with pytest.raises(UsageError, match="saw other data: expected checksum aaaaaaaaaaaa…, received bbbbbbbbbbbb…"):
        check_same_data({form: A_CHECKSUM}, form, "b" * 64)
