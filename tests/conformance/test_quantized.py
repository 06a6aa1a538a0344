"""Quantized integers, integers of less than a byte and floats of no more: only Predict over gRPC has them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

from serving.signatures import TENSORFLOW_DTYPES, DType
from tests.support.foreign_models import write_typed_identities
from tests.support.gateway import RunningGateway
from tests.support.saved_model_gateway import saved_model_gateway
from tests.support.tfs import failure, predict_request
from tests.support.tfserving import IS_REAL

Stub = prediction_service_pb2_grpc.PredictionServiceStub
SMALL = [dtype for dtype in TENSORFLOW_DTYPES.values() if dtype.predict_only and dtype.kind != "c"]
EVERY_DTYPE = pytest.mark.parametrize("dtype", SMALL, ids=lambda dtype: dtype.name)
OFTEN_OF_FEWER_DTYPES = pytest.mark.skipif(IS_REAL, reason="releases of TensorFlow Serving have fewer dtypes")


@pytest.fixture(scope="module", params=["tensorflow", pytest.param("tfserving", marks=OFTEN_OF_FEWER_DTYPES)])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("small")
    write_typed_identities(folder / "models" / "same" / "1")
    with saved_model_gateway(folder / "models", request.param, folder) as running:
        yield running


@pytest.fixture(scope="module")
def stub(gateway: RunningGateway) -> Iterator[Stub]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def field_of(dtype: DType) -> str:
    return "float8_val" if dtype.kind == "f" else "int_val"


def rows_of(dtype: DType) -> np.ndarray:
    """Two rows with the extremes of the dtype."""
    limits = ml_dtypes.finfo(dtype.numpy) if dtype.kind == "f" else ml_dtypes.iinfo(dtype.numpy)
    return np.array([[limits.min, limits.max], [1, 0]], dtype.numpy)


def tensor_of(dtype: DType, rows: np.ndarray, values: int | None = None) -> tensor_pb2.TensorProto:
    """The rows in the dtype's own field, or only the first `values` of them."""
    tensor = tensor_pb2.TensorProto(dtype=dtype.tensorflow, tensor_shape=tf.TensorShape(rows.shape).as_proto())
    if dtype.kind == "f":
        tensor.float8_val = rows.ravel()[:values].tobytes()
    else:
        tensor.int_val.extend(rows.ravel()[:values].tolist())
    return tensor


def content_of(dtype: DType, rows: np.ndarray) -> tensor_pb2.TensorProto:
    """The rows as they lie in memory, an element a byte where it has less."""
    shape = tf.TensorShape(rows.shape).as_proto()
    return tensor_pb2.TensorProto(dtype=dtype.tensorflow, tensor_shape=shape, tensor_content=rows.tobytes())


def answer_of(response: Any, dtype: DType) -> list[Any]:
    """As TensorFlow itself reads it."""
    found: list[Any] = tf.io.parse_tensor(response.outputs["y"].SerializeToString(), dtype.name).numpy().tolist()
    return found


def echo(stub: Stub, dtype: DType, tensor: tensor_pb2.TensorProto) -> list[Any]:
    return answer_of(stub.Predict(predict_request("same", dtype.name, x=tensor), timeout=60.0), dtype)


@EVERY_DTYPE
def test_every_encoding_comes_back(dtype: DType, stub: Stub) -> None:
    rows = rows_of(dtype)
    (first, second), _ = rows.tolist()
    assert echo(stub, dtype, content_of(dtype, rows)) == rows.tolist()
    assert echo(stub, dtype, tensor_of(dtype, rows)) == rows.tolist()
    assert echo(stub, dtype, tensor_of(dtype, rows, 2)) == [[first, second], [second, second]]
    assert echo(stub, dtype, tensor_of(dtype, rows, 1)) == [[first, first], [first, first]]
    assert echo(stub, dtype, tensor_of(dtype, rows, 0)) == [[0, 0], [0, 0]]


@EVERY_DTYPE
def test_the_answer_is_in_the_dtypes_own_field(dtype: DType, stub: Stub) -> None:
    rows = rows_of(dtype)
    answer = stub.Predict(predict_request("same", dtype.name, x=content_of(dtype, rows)), timeout=60.0).outputs["y"]
    assert answer == tensor_of(dtype, rows)


def test_what_make_tensor_proto_writes_comes_back(stub: Stub) -> None:
    levels = np.array([[-128, 127], [3, 0]])
    for dtype, plain in ((tf.qint8, np.int8), (tf.qint16, np.int16), (tf.qint32, np.int32)):
        tensor = tf.make_tensor_proto(levels.astype(plain), dtype)
        assert echo(stub, TENSORFLOW_DTYPES[dtype.name], tensor) == levels.tolist()


@pytest.mark.parametrize("name", ["qint8", "int4", "float8_e4m3fn"])
def test_rows_that_are_asked_for_at_once_come_back_each_to_who_asked(gateway: RunningGateway, name: str) -> None:
    dtype = TENSORFLOW_DTYPES[name]
    every = np.random.default_rng(5).integers(-8, 8, (64, 1, 2)).astype(dtype.numpy)

    async def ask() -> list[list[Any]]:
        async with grpc.aio.insecure_channel(gateway.grpc_address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            requests = [predict_request("same", name, x=content_of(dtype, rows)) for rows in every]
            answers = await asyncio.gather(*(stub.Predict(request, timeout=60.0) for request in requests))
            return [answer_of(answer, dtype) for answer in answers]

    assert asyncio.run(ask()) == every.tolist()


@pytest.mark.parametrize(
    ("dtype", "tensor", "reason"),
    [
        ("qint8", tf.make_tensor_proto(np.int8([[1, 2]]), tf.int8), "expected dtype qint8, received int8"),
        ("int8", tf.make_tensor_proto(np.int8([[1, 2]]), tf.qint8), "expected dtype int8, received qint8"),
        ("int4", {"int_val": [7, 8]}, "int_val holds a value that does not fit into int4"),
        ("quint16", {"int_val": [-1]}, "int_val holds a value that does not fit into quint16"),
        ("float8_e5m2", {"float8_val": b"abc"}, "expected at most 2 values, received 3"),
        (
            "uint4",
            {"tensor_content": b"\x21"},
            "expected 2 bytes of tensor_content for shape [1, 2] of uint4, received 1",
        ),
    ],
    ids=["plain integers", "quantized ones", "too large", "too small", "too many", "two elements in a byte"],
)
def test_what_does_not_fit_is_refused(stub: Stub, dtype: str, tensor: Any, reason: str) -> None:
    if isinstance(tensor, dict):
        shape = tf.TensorShape([1, 2]).as_proto()
        tensor = tensor_pb2.TensorProto(dtype=TENSORFLOW_DTYPES[dtype].tensorflow, tensor_shape=shape, **tensor)
    refused = failure(stub.Predict, predict_request("same", dtype, x=tensor))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, f'input "x": {reason}')


def test_metadata_names_the_dtypes(stub: Stub, gateway: RunningGateway) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "same"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=60.0).metadata["signature_def"].Unpack(signatures)
    document = gateway.rest.get("/v1/models/same/metadata").json()["metadata"]["signature_def"]["signature_def"]
    for dtype in SMALL:
        assert signatures.signature_def[dtype.name].inputs["x"].dtype == dtype.tensorflow
        assert document[dtype.name]["outputs"]["y"]["dtype"] == dtype.tensorflow_name


@EVERY_DTYPE
def test_json_and_the_open_inference_protocol_say_that_they_have_no_such_values(
    gateway: RunningGateway, dtype: DType
) -> None:
    in_json = f'"x": JSON has no {dtype.name} values, ask PredictionService.Predict over gRPC'
    for key, rows, status in (
        ("instances", 1, 400),
        ("instances", 1000, 400),
        ("inputs", 1, 501),
        ("inputs", 1000, 501),
    ):
        body = {"signature_name": dtype.name, key: [[0, 1]] * rows}
        answer = gateway.rest.post("/v1/models/same:predict", json=body)
        assert (answer.status_code, answer.json()) == (status, {"error": in_json})

    tensor = {"name": "x", "datatype": "INT8", "shape": [1, 2], "data": [0, 1]}
    body = {"parameters": {"signature_name": dtype.name}, "inputs": [tensor]}
    answer = gateway.rest.post("/v2/models/same/infer", json=body)
    said = f"has no {dtype.name} values, ask TensorFlow Serving's PredictionService.Predict over gRPC"
    assert (answer.status_code, answer.json()) == (501, {"error": f'"x": the Open Inference Protocol {said}'})


def test_the_document_offers_only_what_json_can_hold(gateway: RunningGateway) -> None:
    document = gateway.rest.get("/openapi.json").json()
    for path in ("/v1/models/same:predict", "/v2/models/same/infer"):
        examples = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        assert examples.keys() == {name for name, dtype in TENSORFLOW_DTYPES.items() if not dtype.predict_only}
