"""Every way in which a TensorProto may hold its values, sent by TensorFlow's own messages."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.signatures import DTYPES, DType
from tests.support.tfs import failure, outputs, predict_request
from tests.support.wire_forms import (
    BYTES,
    field,
    tensor_head,
    unpacked_doubles,
    unpacked_floats,
    unpacked_varints,
    varint,
)

Stub = prediction_service_pb2_grpc.PredictionServiceStub
FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    **dict.fromkeys(("float16", "bfloat16"), "half_val"),
    "string": "string_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    **dict.fromkeys(("int8", "uint8", "int16", "uint16", "int32"), "int_val"),
}
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES.values(), ids=list(DTYPES))


def rows_of(dtype: DType) -> np.ndarray:
    """Two rows with the extremes of the dtype."""
    if dtype.is_string:
        return np.array([[b"a", "ü".encode()], [b"", b"long " * 50]], object)
    if dtype.numpy.kind == "b":
        return np.array([[True, False], [False, True]])
    return np.array([[dtype.limits.min, dtype.limits.max], [1, 0]], dtype.numpy)


def typed(dtype: DType, rows: np.ndarray, *, values: int | None = None) -> tf.compat.v1.TensorProto:
    """The rows in the dtype's own field, or only the first `values` of them."""
    tensor = tf.make_tensor_proto(np.zeros(0), dtype=tf.float64)
    tensor.Clear()
    tensor.dtype = dtype.tensorflow
    for size in rows.shape:
        tensor.tensor_shape.dim.add(size=size)
    flat = rows.ravel() if FIELDS[dtype.name] != "half_val" else rows.view(np.uint16).ravel()
    getattr(tensor, FIELDS[dtype.name]).extend(flat[:values].tolist())
    return tensor


def echo(stub: Stub, dtype: DType, tensor: tf.compat.v1.TensorProto) -> np.ndarray:
    return outputs(stub.Predict(predict_request(f"echo_{dtype.name}", x=tensor), timeout=60.0))["y"]


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.shape == right.shape and left.dtype == right.dtype and left.tolist() == right.tolist()


@EVERY_DTYPE
def test_what_make_tensor_proto_writes_comes_back(dtype: DType, stub: Stub) -> None:
    rows = rows_of(dtype)
    assert same(echo(stub, dtype, tf.make_tensor_proto(rows)), rows)


@EVERY_DTYPE
def test_the_dtypes_own_field_comes_back(dtype: DType, stub: Stub) -> None:
    rows = rows_of(dtype)
    assert same(echo(stub, dtype, typed(dtype, rows)), rows)


@EVERY_DTYPE
def test_one_value_stands_for_all(dtype: DType, stub: Stub) -> None:
    rows = rows_of(dtype)
    expected = np.full(rows.shape, rows[0, 0], rows.dtype)
    assert same(echo(stub, dtype, typed(dtype, rows, values=1)), expected)


def test_one_value_stands_for_a_hundred_thousand(stub: Stub) -> None:
    tensor = typed(DTYPES["float32"], np.full((1, 1), 2.5, np.float32))
    tensor.tensor_shape.dim[0].size, tensor.tensor_shape.dim[1].size = 2, 50_000
    answer = outputs(stub.Predict(predict_request("large", x=tensor), timeout=60.0))["y"]
    assert same(answer, np.full((2, 50_000), 2.5, np.float32))


@EVERY_DTYPE
def test_the_last_value_fills_up(dtype: DType, stub: Stub) -> None:
    rows = rows_of(dtype)
    expected = rows.copy()
    expected[1] = rows[0, 1]
    assert same(echo(stub, dtype, typed(dtype, rows, values=2)), expected)


@EVERY_DTYPE
def test_the_answer_is_in_the_dtypes_own_field(dtype: DType, stub: Stub) -> None:
    request = predict_request(f"echo_{dtype.name}", x=tf.make_tensor_proto(rows_of(dtype)))
    tensor = stub.Predict(request, timeout=60.0).outputs["y"]

    assert {descriptor.name for descriptor, _ in tensor.ListFields()} == {"dtype", "tensor_shape", FIELDS[dtype.name]}
    assert [dim.size for dim in tensor.tensor_shape.dim] == [2, 2]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("float32", unpacked_floats(5, [0.5, -2.0])),
        ("float64", unpacked_doubles(6, [0.5, -2.0])),
        ("int32", unpacked_varints(7, [5, -2])),
        ("uint8", unpacked_varints(7, [5, 255])),
        ("int64", unpacked_varints(10, [5, -2])),
        ("bool", unpacked_varints(11, [1, 0])),
        ("float16", unpacked_varints(13, [0x3800, 0xC000])),
        ("bfloat16", unpacked_varints(13, [0x3F00, 0xC000])),
        ("uint32", unpacked_varints(16, [5, 2])),
        ("uint64", unpacked_varints(17, [5, 2])),
    ],
)
def test_values_that_are_not_packed_are_read_as_tensorflow_reads_them(
    dtype: str, values: bytes, channel: grpc.Channel
) -> None:
    tensor = tensor_head(DTYPES[dtype].tensorflow, [1, 2]) + values
    request = predict_pb2.PredictRequest()
    request.model_spec.name = f"echo_{dtype}"
    message = request.SerializeToString() + field(2, BYTES, field(1, BYTES, b"x") + field(2, BYTES, tensor))
    call = channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        response_deserializer=predict_pb2.PredictResponse.FromString,
    )
    official = predict_pb2.PredictRequest.FromString(message).inputs["x"]

    assert same(outputs(call(message, timeout=60.0))["y"], tf.make_ndarray(official))


def test_strings_in_tensor_content_are_read_as_tensorflow_reads_them(stub: Stub) -> None:
    strings = [b"a", b"", "ü".encode(), b"long " * 50]
    tensor = typed(DTYPES["string"], np.array(strings, object).reshape(2, 2), values=0)
    tensor.tensor_content = b"".join(varint(len(one)) for one in strings) + b"".join(strings)

    expected = tf.io.parse_tensor(tensor.SerializeToString(), tf.string).numpy()
    assert same(echo(stub, DTYPES["string"], tensor), expected)


@EVERY_DTYPE
def test_more_values_than_the_shape_has_are_refused(dtype: DType, stub: Stub) -> None:
    tensor = typed(dtype, rows_of(dtype))
    tensor.tensor_shape.dim[0].size = 1
    code, text = failure(stub.Predict, predict_request(f"echo_{dtype.name}", x=tensor))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text == 'input "x": expected at most 2 values, received 4'


def test_content_of_another_size_is_refused(stub: Stub) -> None:
    tensor = tf.make_tensor_proto(np.float32([[1, 2], [3, 4]]))
    tensor.tensor_shape.dim[0].size = 3
    assert failure(stub.Predict, predict_request("echo_float32", x=tensor)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        'input "x": expected 24 bytes of tensor_content for shape [3, 2] of float32, received 16',
    )


@pytest.mark.parametrize("dtype", [tf.resource, tf.variant], ids=lambda dtype: dtype.name)
def test_dtypes_that_no_model_here_has_are_refused_by_their_numbers(dtype: tf.DType, stub: Stub) -> None:
    tensor = typed(DTYPES["float32"], rows_of(DTYPES["float32"]))
    tensor.dtype = dtype.as_datatype_enum
    code, text = failure(stub.Predict, predict_request("echo_float32", x=tensor))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text == f'input "x": expected dtype float32, received dtype number {dtype.as_datatype_enum}'


def test_a_shape_of_thousands_of_sizes_is_refused_in_a_sentence(stub: Stub) -> None:
    tensor = tf.make_tensor_proto(np.float32([[1, 2]]))
    for _ in range(9_998):
        tensor.tensor_shape.dim.add(size=2**62)
    code, text = failure(stub.Predict, predict_request("echo_float32", x=tensor))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith('input "x": expected shape [?, 2], received 10,000 dimensions in ')
