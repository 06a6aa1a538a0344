"""Training ends early: at a goal, or when patience ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.trainings import Watching, weights
from training.datasets import Dataset, load_dataset
from training.errors import UsageError
from training.fitting import is_out_of_patience
from training.goals import StopAt
from training.progress import Progress
from training.recipes import Recipe, find_recipe
from training.run import Epoch, History
from training.trainer import train

DIGITS = find_recipe("digits-dense")


def losses(*validation: float) -> History:
    return History(
        epochs=tuple(
            Epoch(loss=1, metric=0, validation_loss=loss, validation_metric=0, seconds=0) for loss in validation
        )
    )


@pytest.mark.parametrize("goal", ["accuracy=0.5", "loss=1.9", "val_accuracy=0.5", "validation_loss=1.9"])
def test_training_stops_after_the_first_epoch_that_reaches_the_goal_and_says_so(
    goal: str, digits: Dataset, tmp_path: Path
) -> None:
    progress = Watching()

    run = train(DIGITS.with_settings({"stop_at": goal}), digits, out=tmp_path / "run", progress=progress)

    ended = len(run.history.epochs)
    stop_at = run.config.training.stop_at
    assert stop_at is not None
    reached = [stop_at.reached_by(epoch.figures("accuracy")) for epoch in run.history.epochs]
    assert reached == [False] * (ended - 1) + [True]
    assert ended < 30
    figure = run.history.epochs[-1].figures("accuracy")[stop_at.figure]
    assert progress.said == [f"epoch {ended} reached {stop_at}: {stop_at.figure} is {figure:.4f}"]
    assert run.history.stopped_early == f"epoch {ended} reached {stop_at}"
    assert run.metrics.weights_of_epoch == ended


def test_a_goal_that_the_last_epoch_reaches_stops_nothing_early(few_digits: Dataset, tmp_path: Path) -> None:
    run = train(
        DIGITS.with_settings({"epochs": 1, "stop_at": "loss=100"}),
        few_digits,
        out=tmp_path / "run",
        progress=Watching(),
    )

    assert run.history.stopped_early is None


def test_an_error_may_be_a_goal_too(tmp_path: Path) -> None:
    recipe = find_recipe("celsius").with_settings({"stop_at": "mean_absolute_error=20"})

    run = train(recipe, load_dataset("celsius"), out=tmp_path / "run", progress=Watching())

    assert run.history.epochs[-1].metric <= 20 < run.history.epochs[-2].metric


def test_early_stopping_keeps_the_weights_of_the_best_epoch(few_digits: Dataset, tmp_path: Path) -> None:
    recipe = DIGITS.with_settings({"early_stopping": 2, "learning_rate": 0.02, "validation_split": 0.3, "epochs": 40})
    run = train(recipe, few_digits, out=tmp_path / "run", progress=Watching())

    best = run.history.best + 1
    assert run.history.stopped_early == f"no epoch of the 2 after epoch {best} had a lower validation loss"
    assert len(run.history.epochs) == best + 2
    assert run.metrics.weights_of_epoch == best
    until_then = recipe.with_settings({"epochs": best, "early_stopping": 40})
    assert weights(train(until_then, few_digits, out=tmp_path / "until then", progress=Watching())) == weights(run)


def test_a_goal_that_is_reached_keeps_the_epoch_that_reached_it_whatever_the_best_one_is(
    few_digits: Dataset, tmp_path: Path
) -> None:
    recipe = DIGITS.with_settings({"early_stopping": 30, "learning_rate": 0.02, "validation_split": 0.3, "epochs": 40})
    patient = train(recipe, few_digits, out=tmp_path / "patient", progress=Watching()).history
    later = next(i for i, epoch in enumerate(patient.epochs) if i > patient.best)
    goal = f"accuracy={max(epoch.metric for epoch in patient.epochs[: later + 1])!r}"

    run = train(recipe.with_settings({"stop_at": goal}), few_digits, out=tmp_path / "run", progress=Watching())

    assert run.history.stopped_early is not None
    assert run.metrics.weights_of_epoch == len(run.history.epochs)


def test_without_validation_the_training_loss_decides(tmp_path: Path) -> None:
    recipe = find_recipe("celsius").with_settings({"early_stopping": 1, "learning_rate": 30.0})

    run = train(recipe, load_dataset("celsius"), out=tmp_path / "run", progress=Watching())

    assert run.history.stopped_early is not None
    assert run.history.stopped_early.endswith("had a lower training loss")


@pytest.mark.parametrize(
    ("history", "patience", "expected"),
    [
        (losses(0.5, 0.6), None, False),
        (losses(0.5), 1, False),
        (losses(0.5, 0.6), 1, True),
        (losses(0.5, 0.5), 1, True),
        (losses(0.5, 0.6), 2, False),
        (losses(0.5, 0.6, 0.7), 2, True),
        (losses(0.5, 0.6, 0.4), 2, False),
    ],
)
def test_patience_counts_the_epochs_since_the_best_one(history: History, patience: int | None, expected: bool) -> None:
    assert is_out_of_patience(history, patience) is expected


@pytest.mark.parametrize(
    ("recipe", "settings", "watched"),
    [
        (DIGITS, {"stop_at": "mean_absolute_error=1"}, "loss, accuracy, validation_loss, validation_accuracy"),
        (DIGITS, {"stop_at": "val_accuracy=0.9", "validation_split": 0}, "loss, accuracy"),
        (find_recipe("celsius"), {"stop_at": "accuracy=0.9"}, "loss, mean_absolute_error"),
        (find_recipe("celsius"), {"stop_at": "val_loss=0.9"}, "loss, mean_absolute_error"),
    ],
)
def test_a_goal_that_no_epoch_can_reach_is_refused_before_the_first(
    recipe: Recipe, settings: dict[str, Any], watched: str, tmp_path: Path
) -> None:
    recipe = recipe.with_settings(settings)
    progress = Watching()

    with pytest.raises(UsageError, match=rf"^stop_at: expected one of {watched}, which this training has, received "):
        train(recipe, load_dataset(recipe.dataset), out=tmp_path / "run", progress=progress)

    assert progress.plan is None
    assert list(tmp_path.iterdir()) == []


def test_a_validation_split_of_its_own_has_validation_figures(
    few_digits: Dataset, tmp_path: Path, silence: Progress
) -> None:
    dataset = dataclasses.replace(few_digits, validation=few_digits.evaluation[1])
    recipe = DIGITS.with_settings({"stop_at": "val_loss=100", "validation_split": 0})

    run = train(recipe, dataset, out=tmp_path / "run", progress=silence)

    assert run.history.stopped_early == "epoch 1 reached validation_loss=100"


@pytest.mark.parametrize(("goal", "validation_split"), [("accuracy=0.2", 0.0), ("val_loss=2.2", 0.2)])
def test_the_callback_stops_anyone_s_model_fit(
    goal: str, validation_split: float, digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    from training.callbacks import StopAtGoal

    keras.utils.set_random_seed(0)
    model = DIGITS.architecture.build(DIGITS.image, 10, "softmax")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop_at = StopAt.model_validate(goal)

    fitted = model.fit(
        digits.train.inputs,
        digits.train.targets,
        validation_split=validation_split,
        epochs=50,
        verbose=0,
        callbacks=[StopAtGoal(stop_at)],
    )

    name = goal.partition("=")[0]
    reached = np.array(fitted.history[name]) >= 0.2 if name == "accuracy" else np.array(fitted.history[name]) <= 2.2
    assert reached.tolist() == [False] * (len(reached) - 1) + [True]
    assert len(reached) < 50
    assert capsys.readouterr().out.startswith(f"epoch {len(reached)} reached {stop_at}: {stop_at.figure} is ")
