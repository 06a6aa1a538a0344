"""Comparing tensors of which nothing but their kind is known."""

from __future__ import annotations

import numpy as np
import pytest

from export.limits import Limits
from export.tensor_parity import compare_tensors
from export.verdict import violations
from serving.bundle import Parity

NAMES = ("tensorflow", "onnx")
BOUNDS = Limits().of(is_int8=False)


def compare(reference: object, candidate: object, dtype: object = np.float32) -> Parity:
    return compare_tensors([np.array(reference, dtype)], [np.array(candidate, dtype)], names=NAMES)


def test_floats_are_held_to_the_precision_of_the_largest_beside_them() -> None:
    parity = compare([[1e6, 0.5]], [[1e6, 1.5]])

    assert (parity.examples, parity.max_abs_difference) == (1, 1.0)
    assert parity.max_relative_difference == pytest.approx(1e-6)
    assert violations(parity, BOUNDS) == []
    assert violations(compare([[1.0, 0.5]], [[1.0, 0.6]]), BOUNDS) != []


def test_batches_of_several_shapes_and_scalars_are_counted_together() -> None:
    reference = [np.zeros((3, 4)), np.zeros((2, 7)), np.float64(1.0)]
    candidate = [np.zeros((3, 4)), np.zeros((2, 7)), np.float64(1.25)]

    parity = compare_tensors(reference, candidate, names=NAMES)

    assert (parity.examples, parity.max_abs_difference) == (6, 0.25)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_has_to_be_the_same_in_the_same_place(value: float) -> None:
    assert compare([1.0, value], [1.0, value]).max_abs_difference == 0
    assert compare([1.0, value], [value, 1.0]).max_abs_difference == np.inf
    assert compare([1.0, value], [1.0, 2.0]).max_relative_difference == np.inf


@pytest.mark.parametrize(
    ("dtype", "reference", "candidate"),
    [(np.int64, [10**9], [10**9 + 1]), (np.bool_, [True], [False]), (object, [b"a"], [b"b"])],
)
def test_everything_but_floats_has_to_be_equal(dtype: object, reference: object, candidate: object) -> None:
    assert violations(compare(reference, reference, dtype), BOUNDS) == []
    assert violations(compare(reference, candidate, dtype), BOUNDS) != []


def test_other_shapes_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"equal shapes, received \[\(1, 2\)\] and \[\(2, 1\)\]"):
        compare([[1, 2]], [[1], [2]])
