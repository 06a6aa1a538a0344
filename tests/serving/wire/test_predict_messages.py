"""Requests that are known but for their numbers mean what protobuf's own parse says, and nothing else is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow_serving.apis import predict_pb2

from serving.signatures import TENSORFLOW_DTYPES, TensorSpec
from serving.wire.atelier_tfs_pb2 import PredictRequest
from serving.wire.predict_messages import Seen, SeenRequests, encode_outputs
from serving.wire.tensors import decode_tensor

RAW = (
    *("float32", "float64", "uint8", "int8", "int32", "int64", "uint16", "bool", "float16", "bfloat16"),
    *("int4", "float8_e4m3fn"),
)


def spec_of(array: np.ndarray, name: str = "pixels", dtype: str | None = None) -> TensorSpec:
    return TensorSpec(name, dtype or array.dtype.name, (None, *array.shape[1:]))


def request(array: np.ndarray, name: str = "pixels", *, typed: bool = False, **spec: Any) -> bytes:
    """What an official client sends: raw numbers, or those of a `*_val` field."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name = spec.get("model", "digits")
    message.model_spec.version_label = spec.get("label", "")
    tensor = message.inputs[name]
    tensor.dtype = TENSORFLOW_DTYPES[array.dtype.name].tensorflow
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if typed:
        getattr(tensor, {"float32": "float_val", "float64": "double_val"}[array.dtype.name]).extend(
            array.ravel().tolist()
        )
    else:
        tensor.tensor_content = array.tobytes()
    message.output_filter.extend(spec.get("output_filter", ()))
    return bytes(message.SerializeToString())


def remembered(message: bytes, spec: TensorSpec) -> SeenRequests[str]:
    seen: SeenRequests[str] = SeenRequests()
    parsed = PredictRequest.FromString(message)
    inputs = {spec.name: decode_tensor(parsed.inputs[spec.name], spec, max_bytes=1 << 30)}
    seen.remember(message, parsed, inputs, "meant")
    return seen


def found(seen: SeenRequests[str], message: bytes) -> Seen[str]:
    one = seen.find(message)
    assert one is not None
    return one


numbers = st.sampled_from(RAW).flatmap(
    lambda name: st.tuples(
        st.just(name),
        arrays.array_shapes(min_dims=1, max_dims=3, max_side=5),
        st.binary(min_size=1, max_size=64),
        st.binary(min_size=1, max_size=64),
    )
)


@given(numbers, st.text(min_size=1, max_size=200), st.text(max_size=20))
def test_a_request_with_other_numbers_is_known_and_read_as_protobuf_reads_it(
    drawn: tuple[str, tuple[int, ...], bytes, bytes], name: str, label: str
) -> None:
    dtype_name, shape, *bits = drawn
    dtype = TENSORFLOW_DTYPES[dtype_name].numpy
    first, second = (
        np.resize(np.frombuffer(one, np.uint8) % 2, (*shape, dtype.itemsize)).view(dtype).reshape(shape) for one in bits
    )
    spec = spec_of(first, name, dtype_name)
    seen = remembered(request(first, name, label=label), spec)
    message = request(second, name, label=label)

    one = found(seen, message)
    decoded = one.decode(message, [spec])
    expected = decode_tensor(PredictRequest.FromString(message).inputs[name], spec, max_bytes=1 << 30)
    assert one.meaning == "meant"
    assert decoded is not None
    assert decoded[name].tobytes() == expected.tobytes() == second.tobytes()
    assert (decoded[name].dtype, decoded[name].shape) == (expected.dtype, expected.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_in_a_typed_field_are_known_too(dtype: type) -> None:
    first, second = np.ones((2, 3), dtype), np.arange(6, dtype=dtype).reshape(2, 3)
    seen = remembered(request(first, typed=True), spec_of(first))
    message = request(second, typed=True)
    decoded = found(seen, message).decode(message, [spec_of(first)])
    assert decoded is not None
    np.testing.assert_array_equal(decoded["pixels"], second)


@pytest.mark.parametrize(
    "other",
    [
        {"model": "letter"},  # as long as "digits"
        {"label": "x"},
        {"name": "pixelz"},
        {"array": np.zeros((3, 2), np.uint8)},
        {"array": np.zeros((2, 3), np.int8)},
    ],
    ids=["model", "label", "input", "shape", "dtype"],
)
def test_what_differs_in_more_than_numbers_is_not_known(other: dict[str, Any]) -> None:
    pixels = np.zeros((2, 3), np.uint8)
    seen = remembered(request(pixels), spec_of(pixels))
    assert seen.find(request(**{"array": pixels, **other})) is None


@pytest.mark.parametrize(
    "after",
    [
        PredictRequest(output_filter=["scores"]).SerializeToString(),
        predict_pb2.PredictRequest(model_spec={"name": "digits"}).SerializeToString(),
        b"\xfa\x01\x06" + bytes(6),  # a field that nobody knows, which looks like the numbers before it
    ],
    ids=["a filter", "the model", "an unknown field"],
)
def test_requests_with_something_after_their_numbers_are_not_remembered(after: bytes) -> None:
    pixels = np.zeros((2, 3), np.uint8)
    message = request(pixels) + after
    assert remembered(message, spec_of(pixels)).find(message) is None


def test_one_value_for_all_is_not_remembered() -> None:
    message = PredictRequest.FromString(request(np.zeros((2, 3), np.float32)))
    message.inputs["pixels"].ClearField("tensor_content")
    message.inputs["pixels"].float_val.append(np.float32(7).tobytes())
    sent = message.SerializeToString()
    assert remembered(sent, TensorSpec("pixels", "float32", (None, 3))).find(sent) is None


def test_strings_that_take_as_much_as_their_array_are_not_remembered() -> None:
    """Seven bytes behind their length are eight, as one element of an array of objects is."""
    message = PredictRequest.FromString(request(np.zeros((2, 3), np.uint8)))
    tensor = message.inputs["pixels"]
    tensor.dtype = TENSORFLOW_DTYPES["string"].tensorflow
    tensor.tensor_content = bytes([7] * 6) + b"strings" * 6
    sent = message.SerializeToString()
    assert remembered(sent, TensorSpec("pixels", "string", (None, 3))).find(sent) is None


@pytest.mark.parametrize("dtype", ["float32", "int64", "qint8"])
@pytest.mark.parametrize("field", ["double_val", "scomplex_val"])
def test_numbers_in_the_field_of_another_dtype_are_not_remembered(dtype: str, field: str) -> None:
    """They mean nothing, as the tensor's own field is empty: its elements are zero."""
    message = PredictRequest.FromString(request(np.zeros((2, 4), TENSORFLOW_DTYPES[dtype].numpy)))
    tensor = message.inputs["pixels"]
    tensor.dtype = TENSORFLOW_DTYPES[dtype].tensorflow
    getattr(tensor, field).append(tensor.tensor_content)
    tensor.ClearField("tensor_content")
    sent = message.SerializeToString()
    assert remembered(sent, TensorSpec("pixels", dtype, (None, 4))).find(sent) is None


def test_a_known_request_does_not_fit_another_signature() -> None:
    pixels = np.zeros((2, 3), np.uint8)
    message = request(pixels)
    one = found(remembered(message, spec_of(pixels)), message)
    for specs in (
        [TensorSpec("others", "uint8", (None, 3))],
        [TensorSpec("pixels", "int8", (None, 3))],
        [TensorSpec("pixels", "uint8", (None, 4))],
        [spec_of(pixels), TensorSpec("more", "uint8", (None, 3))],
    ):
        assert one.decode(message, specs) is None


def test_only_so_many_are_remembered() -> None:
    seen: SeenRequests[int] = SeenRequests()
    spec = TensorSpec("pixels", "uint8", (None,))
    messages = [request(np.zeros(size, np.uint8), model=model) for size in range(1, 600) for model in "abcdefgh"]
    for message in messages:
        parsed = PredictRequest.FromString(message)
        seen.remember(message, parsed, {"pixels": decode_tensor(parsed.inputs["pixels"], spec, max_bytes=1000)}, 0)
    known = [message for message in messages if seen.find(message)]
    assert 0 < len(known) <= 4 * 256
    assert len([message for message in messages[-8:] if seen.find(message)]) == 4

    large = request(np.zeros(2_000_000, np.uint8))
    assert remembered(large, spec).find(large) is None


@given(st.lists(st.tuples(st.sampled_from(RAW), arrays.array_shapes(min_side=0, max_dims=3, max_side=4)), max_size=3))
def test_answers_are_those_that_tensorflow_reads(drawn: list[tuple[str, tuple[int, ...]]]) -> None:
    outputs = {
        f"output {number}": np.arange(np.prod(shape)).reshape(shape).astype(TENSORFLOW_DTYPES[dtype].numpy)
        for number, (dtype, shape) in enumerate(drawn)
    }
    specs = [spec_of(array, name, drawn[number][0]) for number, (name, array) in enumerate(outputs.items())]
    specs.append(TensorSpec("filtered out", "float32", (None,)))

    answer = predict_pb2.PredictResponse.FromString(encode_outputs(outputs, specs))
    assert answer.outputs.keys() == outputs.keys()
    for name, array in outputs.items():
        np.testing.assert_array_equal(tf.make_ndarray(answer.outputs[name]).astype(array.dtype), array)
