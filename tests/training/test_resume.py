"""An interrupted training goes on, and ends where an uninterrupted one would have ended: bit by bit."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.cli import COMMAND
from tests.support.trainings import Watching, weights, without_times
from tests.support.waiting import wait_until
from training.checkpoint import CHECKPOINT, Checkpoint, read_checkpoint, write_checkpoint
from training.datasets import Dataset
from training.errors import RunError, UsageError
from training.recipes import Architecture, Recipe, find_recipe
from training.run import CONFIG, read_config
from training.run_folder import partial_path
from training.trainer import train

FIVE_EPOCHS = find_recipe("digits-dense").with_settings({"epochs": 5, "validation_split": 0.3})
WITH_NORMALIZATION = find_recipe("fashion-mnist-best").with_settings({"filters": "4"}).architecture


def interrupted(recipe: Recipe, dataset: Dataset, out: Path, *, after: int = 2) -> Path:
    """Trains until Ctrl-C after so many epochs; gives the hidden folder."""
    with pytest.raises(KeyboardInterrupt):
        train(recipe, dataset, out=out, progress=Watching(interrupt_after=after))
    assert not out.exists()
    return partial_path(out)


@dataclasses.dataclass(frozen=True)
class Case:
    """Something that the next epoch depends on."""

    settings: dict[str, Any]
    architecture: Architecture | None = None

    @property
    def recipe(self) -> Recipe:
        recipe = FIVE_EPOCHS.with_settings(self.settings)
        return recipe if self.architecture is None else dataclasses.replace(recipe, architecture=self.architecture)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(
                {
                    "dropout": 0.5,
                    "augment": True,
                    "erase": 0.3,
                    "learning_rate_schedule": "one-cycle",
                    "weight_decay": 0.1,
                    "label_smoothing": 0.1,
                }
            ),
            id="dropout, augmentation, one-cycle",
        ),
        pytest.param(
            Case({"optimizer": "sgd", "early_stopping": 1}, WITH_NORMALIZATION), id="momentum, normalization, patience"
        ),
        pytest.param(Case({"precision": "bfloat16", "dropout": 0.2}), id="half the bits"),
    ],
)
def test_a_resumed_training_ends_with_the_same_weights(case: Case, few_digits: Dataset, tmp_path: Path) -> None:
    straight = train(case.recipe, few_digits, out=tmp_path / "straight", progress=Watching())

    interrupted(case.recipe, few_digits, tmp_path / "halted")
    progress = Watching()
    resumed = train(case.recipe, few_digits, out=tmp_path / "halted", progress=progress, resume=True)

    assert weights(resumed) == weights(straight)
    assert without_times(resumed.history) == without_times(straight.history)
    assert resumed.metrics.model_copy(update={"seconds": 0}) == straight.metrics.model_copy(update={"seconds": 0})
    assert progress.plan is not None
    assert (progress.plan.done, len(progress.epochs)) == (2, len(straight.history.epochs) - 2)
    assert not (resumed.path / CHECKPOINT).exists()


def test_the_best_weights_are_kept_over_an_interruption_that_follows_them(few_digits: Dataset, tmp_path: Path) -> None:
    recipe = FIVE_EPOCHS.with_settings({"early_stopping": 3, "epochs": 40, "learning_rate": 0.02})
    straight = train(recipe, few_digits, out=tmp_path / "straight", progress=Watching())
    best = straight.history.best + 1
    assert 1 < best < len(straight.history.epochs)

    interrupted(recipe, few_digits, tmp_path / "halted", after=best + 1)
    resumed = train(recipe, few_digits, out=tmp_path / "halted", progress=Watching(), resume=True)

    assert weights(resumed) == weights(straight)
    assert resumed.metrics.weights_of_epoch == best
    assert resumed.history.stopped_early == straight.history.stopped_early


def test_a_training_may_be_interrupted_again_and_after_its_last_epoch(few_digits: Dataset, tmp_path: Path) -> None:
    recipe = FIVE_EPOCHS.with_settings({"epochs": 2})
    straight = train(recipe, few_digits, out=tmp_path / "straight", progress=Watching())

    interrupted(recipe, few_digits, tmp_path / "halted", after=1)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, few_digits, out=tmp_path / "halted", progress=Watching(interrupt_after=1), resume=True)
    last = Watching()
    resumed = train(recipe, few_digits, out=tmp_path / "halted", progress=last, resume=True)

    assert last.epochs == []
    assert weights(resumed) == weights(straight)


def test_ctrl_c_in_the_middle_of_an_epoch_waits_for_the_step_and_keeps_the_epochs_before_it(
    few_digits: Dataset, tmp_path: Path
) -> None:
    class PressCtrlC(Watching):
        """In the second epoch, before its fourth step."""

        def steps_done(self, steps: int, loss: float, metric: float) -> None:
            super().steps_done(steps, loss, metric)
            if len(self.epochs) == 1 and steps == 3:
                signal.raise_signal(signal.SIGINT)
                self.say("still here")

    recipe = FIVE_EPOCHS.with_settings({"batch_size": 10})
    progress = PressCtrlC()
    with pytest.raises(KeyboardInterrupt):
        train(recipe, few_digits, out=tmp_path / "run", progress=progress)

    assert (progress.steps, progress.said) == ([1, 2, 3], ["still here"])
    held = read_checkpoint(partial_path(tmp_path / "run"))
    assert held is not None
    assert list(held.history.epochs) == progress.epochs


@pytest.fixture(scope="module")
def halted(few_digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a run that was interrupted after two epochs; tests leave it so."""
    out = tmp_path_factory.mktemp("halted") / "run"
    interrupted(FIVE_EPOCHS, few_digits, out)
    return out


@pytest.fixture
def resume(halted: Path, few_digits: Dataset) -> Callable[[Recipe], None]:
    def try_it(recipe: Recipe, dataset: Dataset = few_digits) -> None:
        train(recipe, dataset, out=halted, progress=Watching(), resume=True)

    return try_it


def test_other_settings_are_refused_with_both_values_and_what_was_done_stays(
    halted: Path, resume: Callable[[Recipe], None]
) -> None:
    with pytest.raises(UsageError, match=r"has epochs 5, not 6, dropout 0.0, not 0.5: it cannot be resumed"):
        resume(FIVE_EPOCHS.with_settings({"epochs": 6, "dropout": 0.5}))

    assert (partial_path(halted) / CHECKPOINT).is_file()


def test_another_recipe_or_other_data_are_refused(halted: Path, few_digits: Dataset, tmp_path: Path) -> None:
    other_recipe = dataclasses.replace(FIVE_EPOCHS, name="another")
    other_data = dataclasses.replace(few_digits, train=few_digits.train.take(np.arange(99)))

    with pytest.raises(UsageError, match="has recipe digits-dense, this one another: it cannot be resumed"):
        train(other_recipe, few_digits, out=halted, progress=Watching(), resume=True)
    with pytest.raises(UsageError, match=r"has dataset_sha256 \w{64}, this one \w{64}: it cannot be resumed"):
        train(FIVE_EPOCHS, other_data, out=halted, progress=Watching(), resume=True)


def test_what_was_interrupted_is_not_started_anew_by_accident(halted: Path, few_digits: Dataset) -> None:
    with pytest.raises(UsageError, match=rf"an interrupted run is at {halted}: --resume goes on with it, removing"):
        train(FIVE_EPOCHS, few_digits, out=halted, progress=Watching())


def test_there_has_to_be_something_to_resume(few_digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"there is no interrupted run to resume at {tmp_path / 'run'}"):
        train(FIVE_EPOCHS, few_digits, out=tmp_path / "run", progress=Watching(), resume=True)

    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_resumed(short_run: Any, few_digits: Dataset) -> None:
    with pytest.raises(UsageError, match="is not empty; a run is never overwritten"):
        train(FIVE_EPOCHS, few_digits, out=short_run.path, progress=Watching(), resume=True)


def damaged_copy(halted: Path, folder: Path, damage: Callable[[Path], None]) -> Path:
    copy = folder / "run"
    partial_path(copy).mkdir()
    for file in partial_path(halted).iterdir():
        (partial_path(copy) / file.name).write_bytes(file.read_bytes())
    damage(partial_path(copy))
    return copy


def cut(folder: Path) -> None:
    (folder / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes()[:2000])


def swap(folder: Path) -> None:
    held = read_checkpoint(folder)
    assert held is not None
    write_checkpoint(folder, Checkpoint(held.history, held.state[1:], held.best))


def spoil_config(folder: Path) -> None:
    (folder / CONFIG).write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "checkpoint.npz is damaged: "),
        (swap, "the checkpoint is of another model: its variables have other shapes"),
        (spoil_config, "config.json is damaged: "),
    ],
)
def test_a_damaged_checkpoint_is_said_to_be_one(
    halted: Path, few_digits: Dataset, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    copy = damaged_copy(halted, tmp_path, damage)

    with pytest.raises(RunError, match=message):
        train(FIVE_EPOCHS, few_digits, out=copy, progress=Watching(), resume=True)

    assert not copy.exists()


def test_a_write_that_is_cut_off_leaves_the_checkpoint_before_it(
    halted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = damaged_copy(halted, tmp_path, lambda _: None)
    before = read_checkpoint(partial_path(copy))
    assert before is not None

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(partial_path(copy), Checkpoint(before.history, [], []))

    after = read_checkpoint(partial_path(copy))
    assert after is not None
    assert len(after.state) == len(before.state) > 0


def test_a_full_disk_is_a_sentence_and_keeps_what_can_be_resumed(
    halted: Path, few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = damaged_copy(halted, tmp_path, lambda _: None)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(RunError, match=f"^{copy} cannot be written: No space left on device$"):
        train(FIVE_EPOCHS, few_digits, out=copy, progress=Watching(), resume=True)
    monkeypatch.undo()

    held = read_checkpoint(partial_path(copy))
    assert held is not None
    assert len(held.history.epochs) == 2


def test_a_killed_process_is_resumed_by_another_to_the_same_weights(digits: Dataset, tmp_path: Path) -> None:
    recipe = find_recipe("digits-dense").with_settings({"epochs": 30, "dropout": 0.2, "seed": 7})
    settings = ("digits-dense", "--epochs", "30", "--dropout", "0.2", "--seed", "7")
    killed = tmp_path / "killed"
    with subprocess.Popen([*COMMAND, "train", *settings, "--out", killed], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until((partial_path(killed) / CHECKPOINT).is_file, timeout_s=600)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not killed.exists()
    held = read_checkpoint(partial_path(killed))
    assert held is not None
    assert 1 <= len(held.history.epochs) < 30

    resumed = train(recipe, digits, out=killed, progress=Watching(), resume=True)
    straight = train(recipe, digits, out=tmp_path / "straight", progress=Watching())

    assert weights(resumed) == weights(straight)
    assert without_times(resumed.history) == without_times(straight.history)
    assert len(resumed.history.epochs) == 30


def test_settings_of_a_run_are_enough_to_resume_it(halted: Path) -> None:
    config = read_config(partial_path(halted))

    assert find_recipe(config.recipe).with_settings(config.settings) == FIVE_EPOCHS
