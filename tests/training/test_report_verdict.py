"""The sentence on overfitting."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from training.report.verdict import judge_fit
from training.run import Epoch, History


def _history(train: Sequence[float], validation: Sequence[float] | None, gap: float = 0.02) -> History:
    return History(
        epochs=tuple(
            Epoch(
                loss=loss,
                metric=0.9,
                validation_loss=None if validation is None else validation[index],
                validation_metric=None if validation is None else 0.9 - gap,
                seconds=1,
            )
            for index, loss in enumerate(train)
        )
    )


def test_a_validation_loss_that_rises_while_the_training_loss_falls_is_overfitting_from_the_best_epoch_on() -> None:
    verdict = judge_fit(_history([0.6, 0.4, 0.3, 0.2], [0.5, 0.4, 0.5, 0.7]), "accuracy")

    assert verdict.fit == "overfits"
    assert verdict.sentence.startswith("Overfits from epoch 2 on: since then the validation loss rose from 0.4 to 0.6")
    assert "the training loss fell from 0.4 to 0.2" in verdict.sentence
    assert "(+50\N{NO-BREAK SPACE}%)" in verdict.sentence


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ([0.6, 0.4, 0.3, 0.28], [0.5, 0.4, 0.405, 0.41]),  # the rise is noise
        ([0.6, 0.3, 0.4, 0.5], [0.5, 0.4, 0.5, 0.6]),  # the training loss rose too
        ([0.9, 0.8, 0.7, 0.65], [0.5, 0.4, 0.45, 0.45]),  # it is above the validation loss, as with augmentation
        ([0.6, 0.4, 0.3, 0.28], [0.5, 0.4, 0.38, 0.379]),  # the last epoch is hardly better
    ],
)
def test_what_stays_near_its_lowest_validation_loss_fits_well(train: list[float], validation: list[float]) -> None:
    assert judge_fit(_history(train, validation), "accuracy").fit == "fits"


def test_a_best_last_epoch_asks_for_more() -> None:
    verdict = judge_fit(_history([0.6, 0.5, 0.4], [0.6, 0.5, 0.45]), "accuracy")

    assert verdict.fit == "improving"
    assert "more epochs may help" in verdict.sentence


def test_much_more_accuracy_in_training_is_overfitting_also_without_a_rise() -> None:
    flat = _history([0.6, 0.5, 0.4], [0.6, 0.6, 0.6], gap=0.2)

    assert judge_fit(flat, "accuracy").fit == "overfits"
    assert judge_fit(flat, "mean_absolute_error").fit == "fits"


@pytest.mark.parametrize("history", [_history([0.6, 0.5], None), _history([0.6], [0.5])])
def test_without_validation_or_with_one_epoch_nothing_is_known(history: History) -> None:
    assert judge_fit(history, "accuracy").fit == "unknown"


def test_the_figures_of_a_regression_are_no_percentages() -> None:
    verdict = judge_fit(_history([0.6, 0.5], [0.6, 0.5]), "mean_absolute_error")

    assert "Mean absolute error in the last epoch: 0.9 in training, 0.88 in validation" in verdict.sentence
    assert "%" not in verdict.sentence
