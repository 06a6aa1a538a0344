"""The arithmetic of the parity gate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from export.parity import (
    Limits,
    accuracy,
    accuracy_refusal,
    compare_predictions,
    compare_scores,
    error_refusal,
    mean_absolute_error,
    refusal,
)
from serving.bundle import Parity

LIMITS = Limits()

scores_arrays = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=st.floats(0, 1, width=32)
)


def scores(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def figures(difference: float, agreement: float) -> Parity:
    return Parity(
        runtime="onnx",
        reference="tensorflow",
        examples=10,
        max_abs_difference=difference,
        top1_agreement=agreement,
    )


@given(scores_arrays)
def test_equal_answers_agree_fully(answers: np.ndarray) -> None:
    parity = compare_scores(answers, answers.copy())

    assert (parity.examples, parity.max_abs_difference, parity.top1_agreement) == (len(answers), 0, 1)
    assert refusal(parity, LIMITS) is None


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
    assert refusal(parity, LIMITS) == (
        "onnx does not answer like tensorflow: the largest difference of a score is 0.4, allowed is 0.0001; "
        "they agree on the top class of 50.0000% of the inputs, required is 100.0000%"
    )


def test_which_of_two_tied_classes_comes_first_is_no_disagreement() -> None:
    parity = compare_scores(scores((0.40001, 0.4, 0.2)), scores((0.4, 0.40002, 0.2)))

    assert parity.top1_agreement == 1
    assert refusal(parity, LIMITS) is None


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        ((0.40001, 0.4, 0.2), (0.3, 0.5, 0.2)),  # tied for the reference only
        ((0.3, 0.5, 0.2), (0.40001, 0.4, 0.2)),  # tied for the candidate only
        ((0.40001, 0.4, 0.2), (0.2, 0.4, 0.40001)),  # both have a tie, but not between the classes chosen
    ],
)
def test_a_tie_excuses_nothing_unless_both_see_it_between_the_same_classes(
    reference: tuple[float, ...], candidate: tuple[float, ...]
) -> None:
    assert compare_scores(scores(reference), scores(candidate)).top1_agreement == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("both", [False, True])
def test_a_number_that_is_not_finite_is_always_refused(value: float, both: bool) -> None:
    broken = scores((0.9, value), (0.5, 0.5))
    parity = compare_scores(broken if both else scores((0.9, 0.1), (0.5, 0.5)), broken)

    assert (parity.max_abs_difference, parity.top1_agreement) == (np.inf, 0.5)
    assert refusal(parity, LIMITS) is not None


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (2,), (0, 2), (2, 0)])
def test_answers_of_other_shapes_cannot_be_compared(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected scores"):
        compare_scores(np.zeros((2, 2)), np.zeros(shape))


def test_the_bounds_themselves_are_allowed() -> None:
    assert refusal(figures(1e-4, 1.0), LIMITS) is None
    assert refusal(figures(1.001e-4, 1.0), LIMITS) is not None
    assert refusal(figures(0, 0.9999), LIMITS) is not None
    assert refusal(figures(0.01, 0.99), Limits(max_abs_difference=0.02, min_top1_agreement=0.99)) is None


def test_accuracy_is_the_share_of_right_classes() -> None:
    assert accuracy(scores((0.9, 0.1), (0.2, 0.8), (0.6, 0.4), (0.3, 0.7)), np.array([0, 1, 1, 1])) == 0.75


def test_an_accuracy_may_move_by_a_near_tie_but_not_by_more() -> None:
    assert accuracy_refusal(0.8801, 0.8800, 10_000) is None
    assert accuracy_refusal(0.9500, 0.9472, 360) is None  # one of 360
    assert accuracy_refusal(0.8700, 0.8800, 10_000) == (
        "the bundle's accuracy on 10,000 images is 0.8700, but the run recorded 0.8800: "
        "this is not the model that was trained"
    )


def predictions(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1)


def test_predictions_are_held_to_the_precision_of_their_size() -> None:
    parity = compare_predictions(predictions(1_800_000, 212, 0.5), predictions(1_800_001, 212.0002, 0.500004))

    assert (parity.examples, parity.max_abs_difference, parity.top1_agreement) == (3, 1, None)
    assert parity.max_relative_difference == pytest.approx(4e-6, rel=0.02)  # small ones by their absolute difference
    assert refusal(parity, LIMITS) is None


def test_predictions_that_differ_too_much_are_refused_in_their_own_words() -> None:
    parity = compare_predictions(predictions(200, 0), predictions(201, 0))

    assert refusal(parity, LIMITS) == (
        "onnx does not answer like tensorflow: "
        "the largest relative difference of a prediction is 0.005, allowed is 1e-05"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("both", [False, True])
def test_a_prediction_that_is_not_finite_is_always_refused(value: float, both: bool) -> None:
    parity = compare_predictions(predictions(1, value if both else 2), predictions(1, value))

    assert parity.max_abs_difference == parity.max_relative_difference == np.inf
    assert refusal(parity, LIMITS) is not None


@pytest.mark.parametrize("shape", [(3, 1), (2, 2), (2,), (0, 1)])
def test_predictions_of_other_shapes_cannot_be_compared(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected predictions"):
        compare_predictions(np.zeros(shape if shape == (0, 1) else (2, 1)), np.zeros(shape))


def test_the_mean_absolute_error_may_move_by_a_thousandth_but_not_by_more() -> None:
    assert mean_absolute_error(predictions(1, -2, 3), predictions(2, -2, 5)) == 1
    assert error_refusal(20.01, 20.0, 3) is None
    assert error_refusal(0.0005, 0.0, 3) is None
    assert error_refusal(float("nan"), 20.0, 3) is not None
    assert error_refusal(20.5, 20.0, 3) == (
        "the bundle's mean absolute error on 3 examples is 20.5000, but the run recorded 20.0000: "
        "this is not the model that was trained"
    )
