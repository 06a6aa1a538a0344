"""The arithmetic of the parity gate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from export.parity import accuracy, compare_predictions, compare_scores, mean_absolute_error

scores_arrays = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=st.floats(0, 1, width=32)
)


def scores(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


@given(scores_arrays)
def test_equal_answers_agree_fully(answers: np.ndarray) -> None:
    parity = compare_scores(answers, answers.copy())

    assert (parity.examples, parity.max_abs_difference, parity.top1_agreement) == (len(answers), 0, 1)
    assert parity.max_relative_difference is None


@given(scores_arrays, st.randoms())
def test_the_figures_do_not_depend_on_the_order_of_rows(answers: np.ndarray, random: object) -> None:
    others = np.roll(answers, 1, axis=1)
    order = np.random.default_rng(3).permutation(len(answers))

    assert compare_scores(answers, others) == compare_scores(answers[order], others[order])


def test_the_largest_difference_is_taken_over_all_scores() -> None:
    parity = compare_scores(scores((0.5, 0.5), (0.9, 0.1)), scores((0.5, 0.5), (0.9, 0.35)))

    assert parity.max_abs_difference == pytest.approx(0.25)
    assert parity.top1_agreement == 1


def test_another_top_class_is_a_disagreement() -> None:
    parity = compare_scores(scores((0.9, 0.1), (0.2, 0.8)), scores((0.9, 0.1), (0.6, 0.4)))

    assert parity.top1_agreement == 0.5


def test_which_of_two_tied_classes_comes_first_is_no_disagreement() -> None:
    reference, candidate = scores((0.400004, 0.4, 0.2)), scores((0.4, 0.400006, 0.2))

    assert compare_scores(reference, candidate).top1_agreement == 1
    assert compare_scores(reference, candidate, tie_tolerance=1e-6).top1_agreement == 0


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        ((0.400004, 0.4, 0.2), (0.3, 0.5, 0.2)),  # tied for the reference only
        ((0.3, 0.5, 0.2), (0.400004, 0.4, 0.2)),  # tied for the candidate only
        ((0.400004, 0.4, 0.2), (0.2, 0.4, 0.400004)),  # both have a tie, but not between the classes chosen
    ],
)
def test_a_tie_excuses_nothing_unless_both_see_it_between_the_same_classes(
    reference: tuple[float, ...], candidate: tuple[float, ...]
) -> None:
    assert compare_scores(scores(reference), scores(candidate)).top1_agreement == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("both", [False, True])
def test_a_number_that_is_not_finite_is_an_infinite_difference_and_no_agreement(value: float, both: bool) -> None:
    broken = scores((0.9, value), (0.5, 0.5))
    parity = compare_scores(broken if both else scores((0.9, 0.1), (0.5, 0.5)), broken)

    assert (parity.max_abs_difference, parity.top1_agreement) == (np.inf, 0.5)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (2,), (0, 2), (2, 0)])
def test_answers_of_other_shapes_cannot_be_compared(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected scores"):
        compare_scores(np.zeros((2, 2)), np.zeros(shape))


def test_scores_that_are_no_probabilities_have_a_relative_difference() -> None:
    logits = compare_scores(scores((200.0, -20.0), (0.2, 0.1)), scores((200.002, -20.0), (0.2, 0.10001)))

    assert logits.max_abs_difference == pytest.approx(0.002, rel=0.02)
    assert logits.max_relative_difference == pytest.approx(1e-5, rel=0.05)
    assert compare_scores(scores((1.0000001, 0.0)), scores((1.0, 0.0))).max_relative_difference is None


def test_accuracy_is_the_share_of_right_classes() -> None:
    assert accuracy(scores((0.9, 0.1), (0.2, 0.8), (0.6, 0.4), (0.3, 0.7)), np.array([0, 1, 1, 1])) == 0.75


def predictions(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1)


def test_predictions_are_held_to_the_precision_of_their_size() -> None:
    parity = compare_predictions(predictions(1_800_000, 212, 0.5), predictions(1_800_001, 212.0002, 0.500004))

    assert (parity.examples, parity.max_abs_difference, parity.top1_agreement) == (3, 1, None)
    assert parity.max_relative_difference == pytest.approx(4e-6, rel=0.02)  # small ones by their absolute difference


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("both", [False, True])
def test_a_prediction_that_is_not_finite_is_an_infinite_difference(value: float, both: bool) -> None:
    parity = compare_predictions(predictions(1, value if both else 2), predictions(1, value))

    assert parity.max_abs_difference == parity.max_relative_difference == np.inf


@pytest.mark.parametrize("shape", [(3, 1), (2, 2), (2,), (0, 1)])
def test_predictions_of_other_shapes_cannot_be_compared(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected predictions"):
        compare_predictions(np.zeros(shape if shape == (0, 1) else (2, 1)), np.zeros(shape))


def test_the_mean_absolute_error_is_in_the_targets_unit() -> None:
    assert mean_absolute_error(predictions(1, -2, 3), predictions(2, -2, 5)) == 1
