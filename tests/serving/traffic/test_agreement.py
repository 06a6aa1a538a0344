"""Two versions' answers against each other."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from serving.signatures import Signature, TensorSpec
from serving.traffic.agreement import Agreement, IncomparableError, compare, scores_of

FLOATS = st.floats(-1e6, 1e6, width=32)


def signature(*shape: int | None, dtype: str = "float32") -> Signature:
    return Signature((TensorSpec("x", "float32", (None,)),), (TensorSpec("y", dtype, shape),))


def numbers(*rows: Any) -> dict[str, np.ndarray]:
    return {"y": np.array(rows, np.float32)}


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(2, 4)), elements=FLOATS))
def test_an_answer_agrees_with_itself(scores: np.ndarray) -> None:
    for name in (None, "y"):
        found = compare({"y": scores}, {"y": scores}, scores=name, tolerance=0.0)
        assert found == Agreement(len(scores), len(scores), 0.0, 0.0)


@given(arrays(np.float32, (4, 3), elements=FLOATS), arrays(np.float32, (4, 3), elements=FLOATS), st.floats(0, 10))
def test_it_does_not_matter_which_of_both_is_the_primary(ours: np.ndarray, theirs: np.ndarray, at_most: float) -> None:
    for name in (None, "y"):
        one = compare({"y": ours}, {"y": theirs}, scores=name, tolerance=at_most)
        assert one == compare({"y": theirs}, {"y": ours}, scores=name, tolerance=at_most)
        assert one.mean_distance <= one.max_distance * (1 + 1e-9)


def test_classifiers_agree_in_the_best_class_however_far_the_scores_are_apart() -> None:
    found = compare(numbers([0.9, 0.1], [0.2, 0.8]), numbers([0.6, 0.4], [0.6, 0.4]), scores="y", tolerance=0.0)
    assert (found.rows, found.agreeing) == (2, 1)
    assert found.max_distance == pytest.approx(0.4)
    assert found.mean_distance == pytest.approx(0.35)


def test_classes_are_compared_by_name_where_they_have_names() -> None:
    found = compare(
        numbers([0.9, 0.1]),
        numbers([0.0, 0.3, 0.7]),
        scores="y",
        labels=(("cat", "dog"), ("ant", "dog", "cat")),
        tolerance=0.0,
    )
    assert found == Agreement(1, 1, 0.0, 0.0)  # scores of other classes have no distance


def test_regressions_agree_within_the_tolerance_in_every_number() -> None:
    found = compare(
        {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([5, 5, 5])},
        {"a": np.array([1.0, 2.25, 3.25]), "b": np.array([5, 5, 6])},
        scores=None,
        tolerance=0.5,
    )
    assert (found.rows, found.agreeing, found.max_distance, found.mean_distance) == (3, 2, 1.0, 0.25)


def test_unsigned_numbers_are_not_wrapped() -> None:
    found = compare({"y": np.array([1], np.uint8)}, {"y": np.array([2], np.uint8)}, scores=None, tolerance=0.0)
    assert found == Agreement(1, 0, 1.0, 1.0)


def test_complex_numbers_are_as_far_apart_as_in_the_plane() -> None:
    ours, theirs = np.array([1 + 1j, 2 - 3j, complex("nan")], np.complex64), np.array([1 + 1j, 2 + 1j, 0], np.complex64)
    found = compare({"y": ours[:2]}, {"y": theirs[:2]}, scores=None, tolerance=0.5)
    assert found == Agreement(2, 1, 4.0, 2.0)
    assert compare({"y": ours}, {"y": theirs}, scores=None, tolerance=0.5).max_distance == math.inf
    assert compare({"y": ours}, {"y": ours}, scores=None, tolerance=0.0) == Agreement(3, 3, 0.0, 0.0)


@pytest.mark.parametrize("dtype", [ml_dtypes.int4, ml_dtypes.float8_e4m3fn], ids=["int4", "float8_e4m3fn"])
def test_numbers_of_a_byte_and_less_are_as_far_apart_as_they_say(dtype: type) -> None:
    ours, theirs = np.array([-8, 3], dtype), np.array([7, 3], dtype)
    found = compare({"y": ours}, {"y": theirs}, scores=None, tolerance=1.0)
    assert found == Agreement(2, 1, 15.0, 7.5)


def test_strings_agree_when_they_are_equal() -> None:
    ours, theirs = np.array([b"a", b"b"], object), np.array([b"a", b"c"], object)
    assert compare({"y": ours}, {"y": theirs}, scores=None, tolerance=1.0) == Agreement(2, 1, 0.0, 0.0)


def test_what_is_no_number_is_infinitely_far_from_one_and_equal_to_itself() -> None:
    nan, inf = math.nan, math.inf
    found = compare(numbers(nan, inf, nan, inf), numbers(nan, inf, 1.0, -inf), scores=None, tolerance=1.0)
    assert (found.agreeing, found.max_distance) == (2, inf)


@pytest.mark.parametrize(
    ("theirs", "scores", "text"),
    [
        ({"z": np.zeros(2)}, None, 'output "y" is missing, there is z'),
        ({}, "y", 'output "y" is missing, there is none'),
        ({"y": np.zeros((2, 3))}, None, r'output "y" has shape \[2, 2\] and \[2, 3\]'),
        ({"y": np.zeros(2)}, "y", r"scores have shape \[2, 2\] and \[2\]"),
        ({"y": np.zeros((2, 0))}, "y", "there are no classes"),
    ],
)
def test_answers_of_different_forms_are_incomparable(
    theirs: dict[str, np.ndarray], scores: str | None, text: str
) -> None:
    with pytest.raises(IncomparableError, match=text):
        compare(numbers([1, 2], [3, 4]), theirs, scores=scores, tolerance=0.0)


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (signature(None, 10), "y"),
        (signature(None, None), "y"),
        (signature(None, 1), None),
        (signature(None), None),
        (signature(None, 10, dtype="string"), None),
        (signature(None, 10, dtype="int64"), None),
        (signature(None, 10, dtype="bfloat16"), "y"),
        (signature(None, 10, dtype="float8_e4m3fn"), "y"),
        (signature(None, 10, dtype="uint4"), None),
        (signature(None, 10, dtype="complex64"), None),
    ],
)
def test_a_classification_is_told_by_one_score_for_each_class(of: Signature, name: str | None) -> None:
    assert scores_of(of) == name
