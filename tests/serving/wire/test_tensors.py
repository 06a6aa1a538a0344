"""TensorProto to numpy and back: every encoding the format knows, and everything that is wrong with one."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidInputError
from serving.signatures import TENSORFLOW_DTYPES, DType, TensorSpec
from serving.wire.atelier_tfs_pb2 import Tensor, TensorInfo
from serving.wire.tensors import (
    _shape_and_count,
    decode_tensor,
    encode_tensor,
    encode_tensor_info,
    has_many_strings,
)
from tests.support.arrays import arrays
from tests.support.wire_forms import (
    BYTES,
    field,
    tensor_head,
    unpacked_doubles,
    unpacked_floats,
    unpacked_varints,
    varint,
)

MEGABYTE = 1_000_000
NUMBERS = [dtype for dtype in TENSORFLOW_DTYPES.values() if not dtype.is_string]
FIELD_OF_INTS = {
    "int8": ("int_val", 7),
    "uint8": ("int_val", 7),
    "int16": ("int_val", 7),
    "uint16": ("int_val", 7),
    "int32": ("int_val", 7),
    "int64": ("int64_val", 10),
    "bool": ("bool_val", 11),
    "uint32": ("uint32_val", 16),
    "uint64": ("uint64_val", 17),
}


def decode(tensor: Tensor | bytes, dtype: str, shape: tuple[int | None, ...], max_bytes: int = MEGABYTE) -> np.ndarray:
    message = Tensor.FromString(tensor) if isinstance(tensor, bytes) else tensor
    return decode_tensor(message, TensorSpec("x", dtype, shape), max_bytes=max_bytes)


def tensor(dtype: str, shape: tuple[int, ...], **fields: object) -> Tensor:
    message = Tensor(dtype=TENSORFLOW_DTYPES[dtype].tensorflow, **fields)  # type: ignore[arg-type]
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES.values(), ids=list(TENSORFLOW_DTYPES))
@given(data=st.data())
def test_what_was_encoded_is_decoded_bit_by_bit(dtype: DType, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype))
    message = Tensor()
    encode_tensor(message, array, dtype)
    decoded = decode(message.SerializeToString(), dtype.name, (None,) * array.ndim)

    assert (decoded.dtype, decoded.shape) == (dtype.numpy, array.shape)
    assert decoded.tolist() == array.tolist() if dtype.is_string else decoded.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", NUMBERS, ids=[dtype.name for dtype in NUMBERS])
@given(data=st.data())
def test_tensor_content_is_taken_as_it_is(dtype: DType, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype))
    message = tensor(dtype.name, array.shape, tensor_content=array.tobytes())

    assert decode(message, dtype.name, (None,) * array.ndim).tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", NUMBERS, ids=[dtype.name for dtype in NUMBERS])
@pytest.mark.parametrize("order", ["F", "strided"])
def test_arrays_that_are_not_contiguous_are_encoded_row_by_row(dtype: DType, order: str) -> None:
    base = np.arange(24).reshape(4, 6).astype(dtype.numpy)
    array = np.asfortranarray(base) if order == "F" else base[::2, 1::2]
    message = Tensor()
    encode_tensor(message, array, dtype)

    assert decode(message, dtype.name, (None, None)).tolist() == array.tolist()


def test_unpacked_floats_are_read() -> None:
    head = tensor_head(TENSORFLOW_DTYPES["float32"].tensorflow, [3])
    assert decode(head + unpacked_floats(5, [1.5, -2, 3]), "float32", (None,)).tolist() == [1.5, -2, 3]


def test_unpacked_doubles_are_read() -> None:
    head = tensor_head(TENSORFLOW_DTYPES["float64"].tensorflow, [2])
    assert decode(head + unpacked_doubles(6, [0.1, 1e300]), "float64", (None,)).tolist() == [0.1, 1e300]


def test_unpacked_complex_numbers_are_pairs_of_floats() -> None:
    head = tensor_head(TENSORFLOW_DTYPES["complex64"].tensorflow, [2])
    assert decode(head + unpacked_floats(9, [1.5, -2, 3, 0]), "complex64", (None,)).tolist() == [1.5 - 2j, 3]
    head = tensor_head(TENSORFLOW_DTYPES["complex128"].tensorflow, [2])
    assert decode(head + unpacked_doubles(12, [0.1, 1e300, 0, -1]), "complex128", (None,)).tolist() == [
        0.1 + 1e300j,
        -1j,
    ]


def test_half_a_complex_number_is_refused() -> None:
    head = tensor_head(TENSORFLOW_DTYPES["complex64"].tensorflow, [2])
    for content in (field(9, BYTES, np.float32([1, 2, 3]).tobytes()), unpacked_floats(9, [1.0])):
        with pytest.raises(InvalidInputError, match=r'^input "x": expected pairs of numbers in scomplex_val, received'):
            decode(head + content, "complex64", (None,))


def test_floats_of_which_some_are_packed_are_refused_as_their_order_is_lost() -> None:
    head = tensor_head(TENSORFLOW_DTYPES["float32"].tensorflow, [2])
    packed, unpacked = field(5, BYTES, np.float32([2.0]).tobytes()), unpacked_floats(5, [1.5])
    for content in (packed + unpacked, unpacked + packed):
        with pytest.raises(InvalidInputError, match="packed numbers or single ones, received both in float_val"):
            decode(head + content, "float32", (None,))


@pytest.mark.parametrize("dtype", FIELD_OF_INTS)
def test_unpacked_integers_are_read(dtype: str) -> None:
    head = tensor_head(TENSORFLOW_DTYPES[dtype].tensorflow, [3])
    assert decode(head + unpacked_varints(FIELD_OF_INTS[dtype][1], [1, 0, 1]), dtype, (None,)).tolist() == [1, 0, 1]


def test_a_packed_list_that_comes_in_pieces_is_read_as_one() -> None:
    pieces = b"".join(field(5, BYTES, struct.pack(f"<{len(part)}f", *part)) for part in ([1.0], [2.0, 3.0], []))
    head = tensor_head(TENSORFLOW_DTYPES["float32"].tensorflow, [3])
    assert decode(head + pieces, "float32", (None,)).tolist() == [1, 2, 3]


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
def test_one_value_stands_for_all(dtype: str) -> None:
    one: list[object] = [b"ab\0"] if dtype == "string" else [1]
    message = Tensor()
    encode_tensor(message, np.array(one, TENSORFLOW_DTYPES[dtype].numpy), TENSORFLOW_DTYPES[dtype])
    del message.tensor_shape.dim[:]
    message.tensor_shape.dim.add(size=2)
    message.tensor_shape.dim.add(size=3)

    assert decode(message, dtype, (None, 3)).tolist() == [[*one * 3]] * 2


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "int64", "float16", "bool", "complex64", "float8_e5m2"])
def test_one_value_for_very_many_takes_no_memory_of_its_own(dtype: str) -> None:
    message = Tensor()
    encode_tensor(message, np.array([1], TENSORFLOW_DTYPES[dtype].numpy), TENSORFLOW_DTYPES[dtype])
    del message.tensor_shape.dim[:]
    message.tensor_shape.dim.add(size=25_000)
    message.tensor_shape.dim.add(size=3)
    array = decode(message, dtype, (None, 3))

    assert array.strides == (0, 0)
    assert array.dtype == TENSORFLOW_DTYPES[dtype].numpy
    assert np.array_equal(array, np.ones((25_000, 3), TENSORFLOW_DTYPES[dtype].numpy))


@pytest.mark.parametrize("dtype", [dtype.name for dtype in NUMBERS])
def test_a_list_that_is_too_short_is_filled_with_its_last_value(dtype: str) -> None:
    message = Tensor()
    encode_tensor(message, np.array([0, 1], TENSORFLOW_DTYPES[dtype].numpy), TENSORFLOW_DTYPES[dtype])
    message.tensor_shape.dim[0].size = 5

    assert decode(message, dtype, (None,)).tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
def test_without_any_value_the_tensor_is_zero(dtype: str) -> None:
    zero: object = b"" if dtype == "string" else 0
    assert decode(tensor(dtype, (2,)), dtype, (None,)).tolist() == [zero, zero]


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
def test_an_empty_batch_is_an_array_of_no_rows(dtype: str) -> None:
    decoded = decode(tensor(dtype, (0, 3)), dtype, (None, 3))
    assert (decoded.shape, decoded.dtype) == ((0, 3), TENSORFLOW_DTYPES[dtype].numpy)


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
def test_a_scalar_has_no_dimensions(dtype: str) -> None:
    value: object = b"a" if dtype == "string" else 1
    message = Tensor()
    encode_tensor(message, np.array(value, TENSORFLOW_DTYPES[dtype].numpy), TENSORFLOW_DTYPES[dtype])
    assert decode(message, dtype, ()).item() == value


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"float_val": [struct.pack("<4f", 1, 2, 3, 4)]}, 'input "x": expected at most 3 values, received 4'),
        ({"float_val": [b"\0" * 13]}, 'input "x": float_val is not a list of whole float32 values'),
        ({"float_val": [b"\0"]}, 'input "x": float_val is not a list of whole float32 values'),
        (
            {"tensor_content": b"\0" * 11},
            'input "x": expected 12 bytes of tensor_content for shape [3] of float32, received 11',
        ),
    ],
)
def test_a_wrong_number_of_values_is_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode(tensor("float32", (3,), **fields), "float32", (None,))
    assert str(caught.value) == reason


def test_values_for_a_tensor_without_elements_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="expected at most 0 values, received 1"):
        decode(tensor("int32", (0,), int_val=[1]), "int32", (None,))


@pytest.mark.parametrize(
    ("dtype", "fields"),
    [
        ("uint8", {"int_val": [256]}),
        ("uint8", {"int_val": [-1]}),
        ("int8", {"int_val": [128]}),
        ("int16", {"int_val": [1 << 15]}),
        ("uint16", {"int_val": [-1]}),
        ("qint8", {"int_val": [-129]}),
        ("quint16", {"int_val": [1 << 16]}),
        ("int4", {"int_val": [8]}),
        ("uint4", {"int_val": [-1]}),
        ("int2", {"int_val": [1, -3]}),
        ("uint2", {"int_val": [4]}),
        ("float16", {"half_val": [1 << 16]}),
        ("bfloat16", {"half_val": [-1]}),
    ],
)
def test_an_integer_that_does_not_fit_is_refused_instead_of_wrapped(dtype: str, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match=f"holds a value that does not fit into {dtype}"):
        decode(tensor(dtype, (2,), **fields), dtype, (None,))


def test_a_wrong_dtype_names_both() -> None:
    with pytest.raises(InvalidInputError, match=r'^input "x": expected dtype uint8, received float32$'):
        decode(tensor("float32", (1,)), "uint8", (None,))
    with pytest.raises(InvalidInputError, match=r'^input "x": expected dtype uint8, received quint8$'):
        decode(Tensor(dtype=12), "uint8", (None,))
    with pytest.raises(InvalidInputError, match=r'^input "x": expected dtype uint8, received dtype number 21$'):
        decode(Tensor(dtype=21), "uint8", (None,))
    with pytest.raises(InvalidInputError, match=r"received dtype number 0$"):
        decode(Tensor(), "uint8", (None,))


@pytest.mark.parametrize("shape", [(), (2,), (2, 3, 1), (2, 4), (-1, 3), (-(2**63), 3)])
def test_a_wrong_shape_names_both(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode(tensor("uint8", shape), "uint8", (None, 3))
    assert str(caught.value) == f'input "x": expected shape [?, 3], received {list(shape)}'


@pytest.mark.parametrize("dtype", ["float32", "string", "complex64", "int4"])
@pytest.mark.parametrize("shape", [(2**62, 2**62, 0), (1,) * 65], ids=["no elements", "too many dimensions"])
def test_a_shape_that_numpy_cannot_have_is_refused(dtype: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="which is too large"):
        decode(tensor(dtype, shape), dtype, (None,) * len(shape))


@pytest.mark.parametrize(("dtype", "content"), [("uint8", b""), ("string", b"a")])
def test_a_shape_of_thousands_of_sizes_is_neither_multiplied_nor_remembered(dtype: str, content: bytes) -> None:
    remembered = _shape_and_count.cache_info().currsize
    message = tensor(dtype, (2**62,) * 10_000, tensor_content=content)
    spec = TensorSpec("x", dtype, (), any_rank=True)
    reason = r'^input "x": expected shape \[\], received 10,000 dimensions in 120,000 bytes$'
    with pytest.raises(InvalidInputError, match=reason):
        decode_tensor(message, spec, max_bytes=MEGABYTE)
    if dtype == "string":
        with pytest.raises(InvalidInputError, match=reason):
            has_many_strings(message, spec)
    assert _shape_and_count.cache_info().currsize == remembered


def test_a_tensor_of_unknown_rank_is_refused() -> None:
    message = Tensor(dtype=4)
    message.tensor_shape.unknown_rank = True
    with pytest.raises(InvalidInputError, match=r"received \[\]"):
        decode(message, "uint8", (None,))


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
@pytest.mark.parametrize("shape", [(2**40,), (2**31, 2**31), (2**62, 2**62, 2**62)])
def test_one_value_cannot_ask_for_more_memory_than_is_allowed(dtype: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="expected at most 1,000,000 bytes"):
        decode(tensor(dtype, shape, int_val=[1]), dtype, (None,) * len(shape))


def test_the_bound_of_memory_is_exact() -> None:
    assert decode(tensor("int32", (250,), int_val=[7]), "int32", (None,), max_bytes=1000).sum() == 1750
    with pytest.raises(InvalidInputError, match=r"received shape \[251\] of 1,004 bytes"):
        decode(tensor("int32", (251,), int_val=[7]), "int32", (None,), max_bytes=1000)


@pytest.mark.parametrize("strings", [[b"a"], [b"", b"ab\xff", b""], [b"x" * 127, b"y" * 128, b"z" * 70_000], []])
def test_strings_in_tensor_content_are_lengths_and_then_bytes(strings: list[bytes]) -> None:
    content = b"".join(varint(len(one)) for one in strings) + b"".join(strings)
    decoded = decode(tensor("string", (len(strings),), tensor_content=content), "string", (None,))
    assert decoded.dtype == np.dtype(object)
    assert decoded.tolist() == strings


@pytest.mark.parametrize("content", [b"\x02a", b"\x01ab", b"\x80", b"\x80" * 5 + b"\x00", b"\xff\xff\xff\xff\xff\x01a"])
def test_tensor_content_that_does_not_hold_its_strings_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInputError, match="expected tensor_content of 1 lengths and as many bytes as they say"):
        decode(tensor("string", (1,), tensor_content=content), "string", (None,))


@given(st.binary(max_size=60), st.sampled_from(list(TENSORFLOW_DTYPES)))
def test_arbitrary_bytes_are_an_array_or_invalid_input(content: bytes, dtype: str) -> None:
    try:
        message = Tensor.FromString(tensor_head(TENSORFLOW_DTYPES[dtype].tensorflow, [2]) + content)
    except DecodeError:
        return
    try:
        decoded = decode(message, dtype, (None,))
    except InvalidInputError:
        return
    assert decoded.dtype == TENSORFLOW_DTYPES[dtype].numpy


def test_free_sizes_of_a_signature_travel_as_minus_one() -> None:
    info = TensorInfo()
    encode_tensor_info(info, TensorSpec("pixels", "uint8", (None, 28, 28)))

    assert (info.name, info.dtype) == ("pixels", 4)
    assert [dim.size for dim in info.tensor_shape.dim] == [-1, 28, 28]
