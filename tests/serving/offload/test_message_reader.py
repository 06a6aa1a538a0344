"""Messages that take long to parse are decoded in another process, as they would have been here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from serving.errors import DeadlineExceededError, PayloadTooLargeError, ServingError
from serving.frontends.http import loop_time
from serving.frontends.oip_grpc import _INFER
from serving.frontends.tfs_grpc import _EXAMPLES, _PREDICT
from serving.offload.helper_process import HelperProcess
from serving.offload.message_reader import MAX_READ_HERE_BYTES, MAX_VALUE_BYTES, MessageReader
from serving.signatures import DTYPES, Signature, TensorSpec
from serving.wire import examples, infer_messages, predict_messages
from serving.wire.atelier_oip_pb2 import ModelInferRequest
from serving.wire.atelier_tfs_pb2 import ExamplesRequest, PredictRequest
from serving.wire.oip_tensors import encode_contents, encode_raw
from serving.wire.tensors import encode_content, encode_tensor

MANY = 2 * MAX_READ_HERE_BYTES


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[MessageReader]:
    process = HelperProcess()
    yield MessageReader(process)
    await process.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def values_of(dtype: str) -> np.ndarray:
    if dtype == "string":
        strings = np.empty(MANY, object)
        strings[:] = [b"%d" % (number % 100) for number in range(MANY)]
        return strings
    return (np.arange(MANY) % 2 if dtype == "bool" else np.arange(MANY) % 100).astype(DTYPES[dtype].numpy)


def predict(array: np.ndarray, dtype: str, encode: Callable[..., None] = encode_tensor) -> bytes:
    request = PredictRequest(output_filter=["y"])
    request.model_spec.name = "model"
    encode(request.inputs["x"], array, DTYPES[dtype])
    return request.SerializeToString()


def infer(array: np.ndarray, dtype: str, *, raw: bool = False) -> bytes:
    request = ModelInferRequest(model_name="model", model_version="3", id="7")
    request.outputs.add(name="y").parameters["classification"].int64_param = 1
    tensor = request.inputs.add(name="x", datatype=DTYPES[dtype].oip, shape=array.shape)
    if raw:
        request.raw_input_contents.append(encode_raw(array))
    else:
        encode_contents(tensor.contents, array, DTYPES[dtype])
    return request.SerializeToString()


async def outcome(work: Any) -> Any:
    """The arrays as something to compare, or the refusal."""
    try:
        inputs = await work
    except ServingError as error:
        return type(error), str(error)
    return {name: (array.dtype, array.shape, array.tolist()) for name, array in inputs.items()}


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name not in {"float32", "float64"}])
async def test_a_tensor_of_small_values_is_decoded_alike(dtype: str, reader: MessageReader) -> None:
    message, signature = predict(values_of(dtype), dtype), Signature((TensorSpec("x", dtype, (None,)),), ())
    request, is_whole = reader.open(_PREDICT, message)
    assert not is_whole
    assert (request.model_spec.name, list(request.output_filter), len(request.inputs)) == ("model", ["y"], 0)
    (array,) = predict_messages.decode_message(message, signature, MAX_VALUE_BYTES).values()
    found = await outcome(reader.decode(predict_messages.decode_message, message, signature, MAX_VALUE_BYTES))
    assert found == {"x": (array.dtype, array.shape, array.tolist())}


@pytest.mark.parametrize("dtype", ["string", "bool", "uint8", "int64"])
async def test_typed_contents_are_decoded_alike(dtype: str, reader: MessageReader) -> None:
    values = values_of(dtype)
    message, signature = infer(values, dtype), Signature((TensorSpec("x", dtype, (None,)),), ())
    request, is_whole = reader.open(_INFER, message)
    assert not is_whole
    assert (request.model_name, request.model_version, request.id) == ("model", "3", "7")
    assert request.outputs[0].parameters["classification"].int64_param == 1
    found = await outcome(reader.decode(infer_messages.decode_message, message, signature))
    assert found == {"x": (values.dtype, values.shape, values.tolist())}


async def test_examples_are_decoded_alike(reader: MessageReader) -> None:
    request = ExamplesRequest()
    request.model_spec.name = "model"
    request.input.example_list_with_context.context = b"context "
    request.input.example_list_with_context.examples.extend([b"example"] * 50_000)
    opened, is_whole = reader.open(_EXAMPLES, request.SerializeToString())
    assert not is_whole
    assert opened.model_spec.name == "model"
    inputs = await reader.decode(examples.decode_request, request.SerializeToString())
    assert inputs["inputs"].tolist() == [b"context example"] * 50_000


LARGE = np.zeros(10_000_000, np.float32)
PIECES = {
    "tensor_content": (_PREDICT, lambda: predict(LARGE, "float32", encode_content)),
    "float_val": (_PREDICT, lambda: predict(LARGE, "float32")),
    "double_val": (_PREDICT, lambda: predict(LARGE.astype(np.float64), "float64")),
    "a few long strings": (_PREDICT, lambda: predict(np.array([bytes(5_000_000)] * 2, object), "string")),
    "raw_input_contents": (_INFER, lambda: infer(LARGE, "float32", raw=True)),
    "fp32_contents": (_INFER, lambda: infer(LARGE, "float32")),
    "little of everything": (_PREDICT, lambda: predict(np.zeros(10, np.int64), "int64")),
}


@pytest.mark.parametrize("name", PIECES)
async def test_what_costs_little_to_parse_is_read_here(name: str, reader: MessageReader) -> None:
    form, message = PIECES[name]
    assert reader.open(form, message())[1] is True


async def test_what_is_no_message_is_refused_where_it_is_decoded(reader: MessageReader) -> None:
    message = predict(values_of("int64"), "int64") + b"\x12\x02\xff\xff"
    signature = Signature((TensorSpec("x", "int64", (None,)),), ())
    kind, text = await outcome(reader.decode(predict_messages.decode_message, message, signature, MAX_VALUE_BYTES))
    assert kind.__name__ == "InvalidInputError"
    assert text == "the message is not a valid protobuf of the method's request type"


async def test_the_limits_hold(reader: MessageReader) -> None:
    with pytest.raises(PayloadTooLargeError, match="33,554,432 bytes of values that stand one by one"):
        reader.open(_PREDICT, predict(np.zeros(MAX_VALUE_BYTES + 1, np.bool_), "bool"))
    request = PredictRequest()
    request.model_spec.name = "x" * MANY
    with pytest.raises(PayloadTooLargeError, match="65,536 bytes beside the tensors"):
        reader.open(_PREDICT, request.SerializeToString())


async def test_a_deadline_holds(reader: MessageReader) -> None:
    message = predict(values_of("int64"), "int64")
    with pytest.raises(DeadlineExceededError):
        await reader.decode(examples.decode_request, message, deadline=loop_time())
