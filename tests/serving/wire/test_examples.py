"""tf.Example to the rows of a tensor, and everything that is wrong with one."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidInputError
from serving.signatures import TensorSpec
from serving.wire.atelier_tfs_pb2 import Example, Input
from serving.wire.examples import decode_example, encode_feature, examples_of
from tests.support.wire_forms import BYTES, field, unpacked_floats

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def example(**features: np.ndarray) -> bytes:
    message = Example()
    for name, values in features.items():
        encode_feature(message.features.feature[name], values)
    return message.SerializeToString(deterministic=True)


def raw_example(name: str, feature: bytes) -> bytes:
    """An example with one feature, whose bytes are written by hand."""
    entry = field(1, BYTES, name.encode()) + field(2, BYTES, feature)
    return field(1, BYTES, field(1, BYTES, entry))


def spec(dtype: str, *row_shape: int) -> TensorSpec:
    return TensorSpec("x", dtype, (None, *row_shape))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_travel_in_an_int64_list(dtype: str) -> None:
    limits = np.iinfo(dtype)
    row = np.array([[limits.min, 0, 1], [2, 100, min(limits.max, 2**63 - 1)]], dtype)
    decoded = decode_example(example(x=row.ravel().astype(np.int64)), spec(dtype, 2, 3))

    assert decoded.dtype == row.dtype
    assert decoded.tolist() == row.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_floats_travel_in_a_float_list(dtype: str) -> None:
    decoded = decode_example(example(x=np.float32([0.5, -1.0, np.inf])), spec(dtype, 3))

    assert decoded.dtype == np.dtype(dtype)
    assert decoded.tolist() == [0.5, -1.0, np.inf]


@pytest.mark.parametrize(
    "floats",
    [
        pytest.param(unpacked_floats(1, [0.5, 2.0]), id="each by itself"),
        pytest.param(b"".join(field(1, BYTES, np.float32([v]).tobytes()) for v in (0.5, 2)), id="in pieces"),
    ],
)
def test_floats_that_are_not_packed_in_one_piece_are_read_too(floats: bytes) -> None:
    assert decode_example(raw_example("x", field(2, BYTES, floats)), spec("float32", 2)).tolist() == [0.5, 2.0]


def test_floats_of_which_some_are_packed_are_refused_as_their_order_is_lost() -> None:
    floats = unpacked_floats(1, [2.0]) + field(1, BYTES, np.float32([0.5]).tobytes())
    with pytest.raises(InvalidInputError, match="expected packed numbers or single ones, received both in float_list"):
        decode_example(raw_example("x", field(2, BYTES, floats)), spec("float32", 2))


def test_strings_and_booleans_have_their_lists_too() -> None:
    assert decode_example(example(x=np.array([b"a", b"\xff"], object)), spec("string", 2)).tolist() == [b"a", b"\xff"]
    assert decode_example(example(x=np.int64([1, 0])), spec("bool", 2)).tolist() == [True, False]


def test_a_scalar_row_is_a_feature_of_one_value() -> None:
    assert decode_example(example(x=np.int64([7])), spec("int64")).shape == ()


@pytest.mark.parametrize(
    ("serialized", "dtype", "reason"),
    [
        (b"\xff\xff", "int64", "expected a serialized tf.Example, received 2 other bytes"),
        (example(), "int64", 'expected a feature "x", received none'),
        (example(b=np.int64([1]), a=np.int64([1])), "int64", 'expected a feature "x", received a, b'),
        (example(x=np.float32([1, 2])), "int64", 'feature "x": expected int64_list, received float_list'),
        (example(x=np.int64([1, 2])), "float32", 'feature "x": expected float_list, received int64_list'),
        (raw_example("x", b""), "float32", 'feature "x": expected float_list, received no values'),
        (example(x=np.int64([1])), "int64", 'feature "x": expected 2 values, received 1'),
        (example(x=np.float32([1, 2, 3])), "float32", 'feature "x": expected 2 values, received 3'),
        (example(x=np.int64([1, 256])), "uint8", 'feature "x": expected uint8 values from 0 to 255, received 256'),
        (example(x=np.int64([-1, 2])), "bool", 'feature "x": expected bool values from 0 to 1, received -1'),
        (
            raw_example("x", field(2, BYTES, field(1, BYTES, b"abc"))),
            "float32",
            'feature "x": float_list does not hold whole float32 values',
        ),
    ],
)
def test_what_is_wrong_with_an_example_is_told(serialized: bytes, dtype: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        decode_example(serialized, spec(dtype, 2))
    assert str(refused.value) == reason


def test_a_context_is_part_of_every_example_and_gives_way_to_it() -> None:
    message = Input()
    message.example_list_with_context.context = example(x=np.int64([1]), y=np.int64([2]))
    message.example_list_with_context.examples.extend([example(), example(x=np.int64([3]))])
    examples = examples_of(message)

    assert [decode_example(each, spec("int64", 1)).tolist() for each in examples] == [[1], [3]]
    assert [decode_example(each, TensorSpec("y", "int64", (None, 1))).tolist() for each in examples] == [[2], [2]]


@pytest.mark.parametrize("kind", ["example_list", "example_list_with_context"])
def test_no_examples_are_refused(kind: str) -> None:
    message = Input()
    getattr(message, kind).SetInParent()
    for empty in (Input(), message):
        with pytest.raises(InvalidInputError, match=r"^Input is empty\.$"):
            examples_of(empty)


@given(serialized=st.binary(max_size=40))
def test_any_bytes_are_a_row_or_invalid_input(serialized: bytes) -> None:
    for dtype in ("float32", "uint8", "string"):
        with contextlib.suppress(InvalidInputError):
            assert decode_example(serialized, spec(dtype, 1)).shape == (1,)
