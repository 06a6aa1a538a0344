"""Defaults of a signature stand in for inputs that a Predict request leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving.errors import InvalidInputError
from serving.signatures import Signature, TensorSpec
from serving.wire.atelier_tfs_pb2 import PredictRequest
from serving.wire.predict_messages import decode_inputs
from tests.support.tfs import predict_request

X = TensorSpec("x", "float32", (None, 2))
Y = TensorSpec("y", "float32", (None, 2))
MAX_BYTES = 1024


def signature(*specs: TensorSpec, **defaults: Any) -> Signature:
    content = {name: tf.make_tensor_proto(value).SerializeToString() for name, value in defaults.items()}
    return Signature((X, *specs), (Y,)).with_defaults(content)


def decoded(taken: Signature, **inputs: Any) -> dict[str, np.ndarray]:
    message = predict_request("model", **inputs).SerializeToString()
    return decode_inputs(PredictRequest.FromString(message), taken, MAX_BYTES)


def ones(rows: int) -> np.ndarray:
    return np.ones((rows, 2), np.float32)


def test_a_signature_without_defaults_stays_as_it_is() -> None:
    plain = Signature((X,), (Y,))
    assert plain.with_defaults({}) is plain
    assert plain.defaults == {}


def test_a_default_of_one_row_is_taken_for_every_row() -> None:
    taken = signature(TensorSpec("b", "int64", (None, 1)), b=np.array([[7]]))
    assert decoded(taken, x=ones(3))["b"].tolist() == [[7], [7], [7]]


def test_a_default_of_more_rows_is_taken_as_it_is() -> None:
    taken = signature(TensorSpec("b", "int64", (None,)), b=np.array([7, 8]))
    assert decoded(taken, x=ones(3))["b"].tolist() == [7, 8]


def test_a_default_of_a_signature_without_rows_is_taken_as_it_is() -> None:
    specs = TensorSpec("b", "int64", (None,)), TensorSpec("scalar", "bool", ())
    assert not signature(*specs).is_batched
    inputs = decoded(signature(*specs, b=np.array([7]), scalar=True), x=ones(3))
    assert (inputs["b"].tolist(), inputs["scalar"].tolist()) == ([7], True)


def test_all_may_be_left_out_where_all_have_defaults() -> None:
    assert decoded(signature(x=ones(2)))["x"].tolist() == ones(2).tolist()


def test_a_default_for_more_rows_than_a_tensor_may_have_is_refused() -> None:
    taken = signature(TensorSpec("b", "float32", (None, 64)), b=np.ones((1, 64), np.float32))
    assert decoded(taken, x=ones(4))["b"].shape == (4, 64)
    with pytest.raises(
        InvalidInputError, match='input "b": expected at most 1,024 bytes, its default of 256 bytes is for 5'
    ):
        decoded(taken, x=ones(5))


@pytest.mark.parametrize("default", [np.array([7], np.int32), np.array([[7]])], ids=["another dtype", "another shape"])
def test_a_default_that_its_own_input_does_not_take_is_refused_when_it_is_needed(default: np.ndarray) -> None:
    taken = signature(TensorSpec("b", "int64", (None,)), b=default)
    assert decoded(taken, x=ones(1), b=np.array([5]))["b"].tolist() == [5]
    with pytest.raises(InvalidInputError, match='input "b": expected'):
        decoded(taken, x=ones(1))


def test_a_default_of_no_input_is_for_nothing() -> None:
    assert decoded(signature(z=np.array([7])), x=ones(1)).keys() == {"x"}
