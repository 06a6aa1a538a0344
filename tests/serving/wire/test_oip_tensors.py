"""Tensors that are not what they say they are, and encodings that clients rarely use."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidInputError
from serving.signatures import DTYPES, Signature, TensorSpec
from serving.wire.atelier_oip_pb2 import InferTensorContents
from serving.wire.oip_tensors import (
    check_names,
    check_tensor,
    decode_contents,
    decode_raw,
    encode_raw,
    find_outputs,
)
from tests.support.wire_forms import unpacked_doubles, unpacked_floats

SIGNATURE = Signature(
    (TensorSpec("a", "float32", (None,)), TensorSpec("b", "float32", (None,))),
    (TensorSpec("sum", "float32", (None,)), TensorSpec("difference", "float32", (None,))),
)


def spec(dtype: str, *shape: int | None) -> TensorSpec:
    return TensorSpec("x", dtype, shape)


def strings(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


@pytest.mark.parametrize(
    ("dtype", "content", "shape", "reason"),
    [
        ("float32", b"1234567", (2,), "expected 8 bytes for shape [2] of FP32, received 7"),
        ("float32", b"", (2,), "expected 8 bytes for shape [2] of FP32, received 0"),
        ("uint8", b"123", (2,), "expected 2 bytes for shape [2] of UINT8, received 3"),
        ("bool", b"\x00\x02", (2,), "expected bytes 0 and 1 for BOOL, received 2"),
        ("string", b"", (2,), "expected 2 strings, each behind its length of 4 bytes, received 0 bytes"),
        ("string", strings(b"ab")[:-1], (1,), "expected 1 strings, received 5 bytes, which end within string 0"),
        ("string", strings(b"ab", b"")[:-1], (2,), "received 9 bytes, which end within string 1"),
        ("string", strings(b"abcd") + b"\xff\xff", (2,), "received 10 bytes, which end within string 1"),
        ("string", strings(b"ab") + b"c", (1,), "expected 1 strings in 6 bytes, received 7 bytes"),
        ("string", b"\xff\xff\xff\xff", (1,), "expected 1 strings, received 4 bytes, which end within string 0"),
    ],
)
def test_raw_bytes_that_do_not_add_up_are_refused(
    dtype: str, content: bytes, shape: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        decode_raw(content, spec(dtype, None), shape)
    assert str(raised.value).startswith('input "x": ')
    assert reason in str(raised.value)


def test_numbers_reach_numpy_without_being_copied() -> None:
    content = np.arange(6, dtype=np.float32).tobytes()
    array = decode_raw(content, spec("float32", None, 3), (2, 3))
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_numbers_that_lie_askew_in_a_body_are_moved() -> None:
    body = b"{" + np.arange(6, dtype=np.float64).tobytes()
    array = decode_raw(memoryview(body)[1:], spec("float64", None), (6,))
    assert array.tolist() == [0, 1, 2, 3, 4, 5]
    assert array.flags.aligned


@pytest.mark.parametrize(
    ("dtype", "fields", "reason"),
    [
        ("float32", {"fp32_contents": [b"\x00" * 4]}, "expected 2 values in fp32_contents for shape [2], received 1"),
        ("float32", {"fp32_contents": [b"\x00" * 7]}, "fp32_contents is not a list of whole FP32 values"),
        ("float32", {"fp64_contents": [b"\x00" * 16]}, "in fp32_contents for shape [2], received 0 and fp64_contents"),
        ("int8", {"int_contents": [1, 128]}, "expected INT8 values in int_contents, received 128"),
        ("uint16", {"uint_contents": [65536, 0]}, "expected UINT16 values in uint_contents, received 65536"),
        ("int64", {"int64_contents": [1, 2, 3]}, "expected 2 values in int64_contents for shape [2], received 3"),
        ("float16", {"fp32_contents": [b"\x00" * 8]}, "expected FP16 in raw_input_contents, received none"),
    ],
)
def test_typed_contents_that_do_not_fit_are_refused(dtype: str, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        decode_contents(InferTensorContents(**fields), spec(dtype, None), (2,))
    assert reason in str(raised.value)


def test_numbers_may_come_unpacked() -> None:
    floats = InferTensorContents.FromString(unpacked_floats(6, [1.5, -0.0]))
    doubles = InferTensorContents.FromString(unpacked_doubles(7, [0.1, 1e300]))
    assert decode_contents(floats, spec("float32", None), (2,)).tolist() == [1.5, -0.0]
    assert decode_contents(doubles, spec("float64", None), (2,)).tolist() == [0.1, 1e300]


def test_numbers_of_which_some_are_packed_are_refused_as_their_order_is_lost() -> None:
    mixed = unpacked_floats(6, [1.5]) + InferTensorContents(fp32_contents=[np.float32(2).tobytes()]).SerializeToString()
    with pytest.raises(InvalidInputError, match="expected packed numbers or single ones, received both"):
        decode_contents(InferTensorContents.FromString(mixed), spec("float32", None), (2,))


@pytest.mark.parametrize(
    ("datatype", "shape", "reason"),
    [
        ("FP64", (2, 3), "expected datatype FP32, received FP64"),
        ("float32", (2, 3), "expected datatype FP32, received float32"),
        ("", (2, 3), "expected datatype FP32, received none"),
        ("FP32", (2, 4), "expected shape [?, 3], received [2, 4]"),
        ("FP32", (3,), "expected shape [?, 3], received [3]"),
        ("FP32", (-1, 3), "expected shape [?, 3], received [-1, 3]"),
        ("FP32", (2**63, 3), f"expected shape [?, 3], received [{2**63}, 3]"),
    ],
)
def test_what_a_request_says_of_a_tensor_has_to_fit(datatype: str, shape: tuple[int, ...], reason: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        check_tensor(spec("float32", None, 3), datatype, shape)
    assert str(raised.value) == f'input "x": {reason}'


@pytest.mark.parametrize("received", [[], ["a"], ["a", "a"], ["a", "b", "c"], ["a", "b", "b"], ["a", "c"]])
def test_every_input_has_to_be_there_once(received: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="inputs: expected a, b, received"):
        check_names(received, SIGNATURE)
    check_names(["b", "a"], SIGNATURE)


def test_outputs_are_found_in_the_order_asked_for() -> None:
    assert [found.name for found in find_outputs(["difference", "sum"], SIGNATURE, "m")] == ["difference", "sum"]
    assert [found.name for found in find_outputs([], SIGNATURE, "m")] == ["sum", "difference"]
    with pytest.raises(InvalidInputError, match="unexpected inference output 'sum' for model 'm': asked for twice"):
        find_outputs(["sum", "sum"], SIGNATURE, "m")


def test_a_shape_that_numpy_cannot_have_is_refused_though_it_holds_nothing() -> None:
    with pytest.raises(InvalidInputError, match="which is too large"):
        decode_raw(b"", spec("float64", None, None, None), (2**62, 2**62, 0))


@given(content=st.binary(max_size=40), dtype=st.sampled_from(list(DTYPES)), count=st.integers(0, 12))
def test_any_bytes_are_an_array_that_encodes_back_to_them_or_are_refused(
    content: bytes, dtype: str, count: int
) -> None:
    try:
        array = decode_raw(content, spec(dtype, None), (count,))
    except InvalidInputError:
        return
    assert array.shape == (count,)
    assert encode_raw(array) == content
