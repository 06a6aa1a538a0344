"""The arithmetic of the parity gate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from export.parity import Limits, accuracy, accuracy_refusal, all_inputs, compare, refusal
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
    parity = compare(answers, answers.copy())

    assert (parity.examples, parity.max_abs_difference, parity.top1_agreement) == (len(answers), 0, 1)
    assert refusal(parity, LIMITS) is None


@given(scores_arrays, st.randoms())
def test_the_figures_do_not_depend_on_the_order_of_rows(answers: np.ndarray, random: object) -> None:
    others = np.roll(answers, 1, axis=1)
    order = np.random.default_rng(3).permutation(len(answers))

    assert compare(answers, others) == compare(answers[order], others[order])


def test_the_largest_difference_is_taken_over_all_scores() -> None:
    parity = compare(scores((0.5, 0.5), (0.9, 0.1)), scores((0.5, 0.5), (0.9, 0.35)))

    assert parity.max_abs_difference == pytest.approx(0.25)
    assert parity.top1_agreement == 1


def test_another_top_class_is_a_disagreement() -> None:
    parity = compare(scores((0.9, 0.1), (0.2, 0.8)), scores((0.9, 0.1), (0.6, 0.4)))

    assert parity.top1_agreement == 0.5
    assert refusal(parity, LIMITS) == (
        "onnx does not answer like tensorflow: the largest difference of a score is 0.4, allowed is 0.0001; "
        "they agree on the top class of 50.0000% of the inputs, required is 100.0000%"
    )


def test_which_of_two_tied_classes_comes_first_is_no_disagreement() -> None:
    parity = compare(scores((0.40001, 0.4, 0.2)), scores((0.4, 0.40002, 0.2)))

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
    assert compare(scores(reference), scores(candidate)).top1_agreement == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("both", [False, True])
def test_a_number_that_is_not_finite_is_always_refused(value: float, both: bool) -> None:
    broken = scores((0.9, value), (0.5, 0.5))
    parity = compare(broken if both else scores((0.9, 0.1), (0.5, 0.5)), broken)

    assert (parity.max_abs_difference, parity.top1_agreement) == (np.inf, 0.5)
    assert refusal(parity, LIMITS) is not None


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (2,), (0, 2), (2, 0)])
def test_answers_of_other_shapes_cannot_be_compared(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected scores"):
        compare(np.zeros((2, 2)), np.zeros(shape))


def test_the_bounds_themselves_are_allowed() -> None:
    assert refusal(figures(1e-4, 1.0), LIMITS) is None
    assert refusal(figures(1.001e-4, 1.0), LIMITS) is not None
    assert refusal(figures(0, 0.9999), LIMITS) is not None
    assert refusal(figures(0.01, 0.99), Limits(max_abs_difference=0.02, min_top1_agreement=0.99)) is None


def test_the_figures_over_all_inputs_weigh_every_row_alike() -> None:
    same = scores((1, 0), (1, 0), (1, 0))
    parity = all_inputs([(same, same), (scores((1, 0)), scores((0.25, 0.75)))])

    assert (parity.examples, parity.max_abs_difference, parity.top1_agreement) == (4, 0.75, 0.75)


def test_accuracy_is_the_share_of_right_classes() -> None:
    assert accuracy(scores((0.9, 0.1), (0.2, 0.8), (0.6, 0.4), (0.3, 0.7)), np.array([0, 1, 1, 1])) == 0.75


def test_an_accuracy_may_move_by_a_near_tie_but_not_by_more() -> None:
    assert accuracy_refusal(0.8801, 0.8800, 10_000) is None
    assert accuracy_refusal(0.9500, 0.9472, 360) is None  # one of 360
    assert accuracy_refusal(0.8700, 0.8800, 10_000) == (
        "the bundle's accuracy on the 10,000 test images is 0.8700, but the run recorded 0.8800: "
        "this is not the model that was trained"
    )
