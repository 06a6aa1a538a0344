"""The report's figures, against examples worked by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.report.evaluation import (
    calibration,
    class_figures,
    confusion_matrix,
    worst_mistakes,
)


def _random_answers(n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n_labels)
    truths = random.integers(0, n_labels - 1, 300)  # the last class has no example
    scores = random.random((300, n_labels), np.float32)
    scores[:, 0] = 0  # the first is never said
    return truths, scores / scores.sum(axis=1, keepdims=True)


def test_rows_of_the_confusion_matrix_are_true_classes_and_columns_the_said_ones() -> None:
    matrix = confusion_matrix(np.array([0, 0, 0, 1, 2]), np.array([0, 1, 1, 1, 0]), 4)

    assert matrix.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("n_labels", [3, 10, 100])
def test_the_confusion_matrix_is_scikit_learns(n_labels: int) -> None:
    from sklearn.metrics import confusion_matrix as reference

    truths, scores = _random_answers(n_labels)
    guesses = scores.argmax(axis=1)

    assert (confusion_matrix(truths, guesses, n_labels) == reference(truths, guesses, labels=range(n_labels))).all()


def test_precision_recall_and_f1_of_a_hand_worked_example() -> None:
    first, second = class_figures(np.array([[8, 2], [4, 6]]))

    assert (first.precision, first.recall, first.support) == (pytest.approx(8 / 12), pytest.approx(0.8), 10)
    assert first.f1 == pytest.approx(2 * (8 / 12 * 0.8) / (8 / 12 + 0.8))
    assert (second.precision, second.recall, second.support) == (pytest.approx(0.75), pytest.approx(0.6), 10)


def test_quotients_without_examples_are_not_numbers() -> None:
    never_said, without_examples, neither = class_figures(np.array([[0, 5, 0], [0, 0, 0], [0, 0, 0]]))

    assert math.isnan(never_said.precision)
    assert (never_said.recall, never_said.f1) == (0, 0)
    assert math.isnan(without_examples.recall)
    assert (without_examples.precision, without_examples.f1) == (0, 0)
    assert all(map(math.isnan, (neither.precision, neither.recall, neither.f1)))


@pytest.mark.parametrize("n_labels", [3, 10, 100])
def test_the_figures_of_classes_are_scikit_learns(n_labels: int) -> None:
    from sklearn.metrics import precision_recall_fscore_support as reference

    truths, scores = _random_answers(n_labels)
    guesses = scores.argmax(axis=1)

    figures = class_figures(confusion_matrix(truths, guesses, n_labels))

    expected = reference(truths, guesses, labels=range(n_labels), zero_division=np.nan)
    ours = [[getattr(each, name) for each in figures] for name in ("precision", "recall", "f1", "support")]
    np.testing.assert_allclose(np.array(ours), np.array(expected))


def test_the_worst_mistakes_are_the_surest_wrong_answers_in_order() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.05, 0.95], [0.3, 0.7]], np.float32)
    truths = np.array([0, 0, 0, 0, 1])

    assert worst_mistakes(scores, truths, 10).tolist() == [3, 1, 2]
    assert worst_mistakes(scores, truths, 2).tolist() == [3, 1]
    assert worst_mistakes(scores[:1], truths[:1], 2).tolist() == []


def test_the_expected_calibration_error_of_a_hand_worked_example() -> None:
    # Two answers at 0.9, one of them right; two at 0.6, both right: (2 · |0.9 - 0.5| + 2 · |0.6 - 1|) / 4 = 0.4
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])

    figures = calibration(scores, np.array([0, 1, 0, 1]), n_bins=5)

    assert figures.error == pytest.approx(0.4)
    assert (figures.confidence, figures.accuracy) == (pytest.approx(0.75), 0.75)
    assert [bin_.examples for bin_ in figures.bins] == [0, 0, 2, 0, 2]
    assert math.isnan(figures.bins[0].accuracy)


def test_bins_hold_their_upper_edge_and_the_first_its_lower_one_too() -> None:
    scores = np.array([[0.5, 0.25], [1.0, 0.0], [0.0, 0.0]])

    figures = calibration(scores, np.array([0, 0, 0]), n_bins=2)

    assert [bin_.examples for bin_ in figures.bins] == [2, 1]


def test_the_calibration_curve_is_scikit_learns() -> None:
    from sklearn.calibration import calibration_curve

    random = np.random.default_rng(0)
    confidences = random.uniform(0.5, 1, 400)
    scores, truths = np.stack([confidences, 1 - confidences], axis=1), random.integers(0, 2, 400)

    filled = [bin_ for bin_ in calibration(scores, truths).bins if bin_.examples]

    accuracies, means = calibration_curve(truths == 0, confidences, n_bins=15)
    assert [bin_.accuracy for bin_ in filled] == pytest.approx(accuracies)
    assert [bin_.confidence for bin_ in filled] == pytest.approx(means)
