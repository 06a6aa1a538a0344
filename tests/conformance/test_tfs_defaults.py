"""Inputs that a SavedModel has defaults for may be left out of Predict, as TensorFlow Serving fills them in.

Source: PreProcessPrediction in tensorflow_serving/servables/tensorflow/predict_util.cc. Its REST API takes only whole
requests: what FillPredictRequestFromJson in json_tensor.cc is told of a signature are its inputs, without defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.json_format import ParseDict
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

from serving.offload.message_reader import MAX_READ_HERE_BYTES
from tests.support.foreign_models import write_defaults
from tests.support.gateway import RunningGateway
from tests.support.saved_model_gateway import SAVED_MODEL_BACKENDS, saved_model_gateway
from tests.support.tfs import failure, outputs, predict_request

X = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
SHIFT = np.array([[1, 10]], np.float32)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_defaults(folder / "moved" / "1")
    return folder


@pytest.fixture(scope="module", params=SAVED_MODEL_BACKENDS)
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, models: Path
) -> Iterator[RunningGateway]:
    with saved_model_gateway(models, request.param, tmp_path_factory.mktemp("upstream")) as running:
        yield running


@pytest.fixture(scope="module")
def stub(gateway: RunningGateway) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.mark.parametrize(
    ("signature", "inputs", "expected"),
    [
        ("", {"x": X}, {"y": X + SHIFT, "unit": [b"m"] * 3}),
        ("", {"x": X, "unit": ["a", "b", "c"]}, {"y": X + SHIFT, "unit": [b"a", b"b", b"c"]}),
        ("", {"x": X, "shift": -X}, {"y": 0 * X, "unit": [b"m"] * 3}),
        ("", {"x": X, "shift": -X, "unit": ["a", "b", "c"]}, {"y": 0 * X, "unit": [b"a", b"b", b"c"]}),
        ("power", {"x": X}, {"y": X**3}),
        ("power", {"x": X, "exponent": np.int64(2)}, {"y": X**2}),
        ("greeting", {}, {"text": [b"hello you", b"hello me"]}),
        ("greeting", {"name": ["all"]}, {"text": [b"hello all"]}),
    ],
    ids=[
        *("two are left out", "one is left out", "another is left out", "none is left out"),
        *("a scalar is left out", "a scalar is given", "the only one is left out", "the only one is given"),
    ],
)
def test_inputs_that_are_left_out_are_their_defaults(
    signature: str,
    inputs: dict[str, Any],
    expected: dict[str, Any],
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    answer = outputs(stub.Predict(predict_request("moved", signature, **inputs), timeout=60.0))
    assert {name: array.tolist() for name, array in answer.items()} == {
        name: np.array(values, object if isinstance(values, list) else None).tolist()
        for name, values in expected.items()
    }


def test_requests_with_and_without_defaults_share_batches_and_keep_their_own(
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    given = {"shift": np.full((1, 2), 100, np.float32), "unit": ["km"]}
    calls = [
        stub.Predict.future(predict_request("moved", x=X[:1] * row, **(given if row % 2 else {})), timeout=60.0)
        for row in range(40)
    ]
    for row, call in enumerate(calls):
        answer = outputs(call.result())
        assert answer["y"].tolist() == (X[:1] * row + (100 if row % 2 else SHIFT)).tolist()
        assert answer["unit"].tolist() == [b"km" if row % 2 else b"m"]


def test_what_a_large_request_leaves_out_is_its_default_too(
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    """So many strings are read in a process of their own."""
    rows = 3000
    units = [f"{row:064}" for row in range(rows)]
    request = predict_request("moved", x=np.ones((rows, 2), np.float32), unit=units)
    assert request.ByteSize() > MAX_READ_HERE_BYTES
    answer = outputs(stub.Predict(request, timeout=60.0))
    assert answer["y"].tolist() == [[2, 11]] * rows
    assert answer["unit"].tolist() == [unit.encode() for unit in units]


@pytest.mark.parametrize(
    ("inputs", "sent", "extra", "missing"),
    [({"shift": X}, "shift", "", "x"), ({"x": X, "shifted": X}, "shifted,x", "shifted", "")],
    ids=["what has no default is left out", "an unknown input"],
)
def test_other_inputs_are_refused(
    inputs: dict[str, Any], sent: str, extra: str, missing: str, stub: prediction_service_pb2_grpc.PredictionServiceStub
) -> None:
    assert failure(stub.Predict, predict_request("moved", **inputs)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        (
            f"input size does not match signature: {len(inputs)}!=3 len({{{sent}}}) != len({{shift,unit,x}}). "
            f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        ),
    )


@pytest.mark.parametrize(
    "body", [{"instances": [{"x": [1.0, 2.0]}]}, {"inputs": {"x": [[1.0, 2.0]]}}], ids=["rows", "columns"]
)
def test_rest_asks_for_all_inputs(body: dict[str, Any], gateway: RunningGateway) -> None:
    response = gateway.rest.post("/v1/models/moved:predict", json=body)
    assert response.status_code == 400
    assert "shift" in response.json()["error"]


def test_metadata_tells_the_defaults_of_the_file_over_grpc_and_rest(
    models: Path, gateway: RunningGateway, stub: prediction_service_pb2_grpc.PredictionServiceStub
) -> None:
    file = SavedModel.FromString((models / "moved" / "1" / "saved_model.pb").read_bytes())
    (graph,) = file.meta_graphs
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "moved"
    told, document = get_model_metadata_pb2.SignatureDefMap(), get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=60.0).metadata["signature_def"].Unpack(told)
    ParseDict(gateway.rest.get("/v1/models/moved/metadata").json()["metadata"]["signature_def"], document)

    assert document == told
    assert told.signature_def.keys() == {"serving_default", "power", "greeting"}
    for name, entry in told.signature_def.items():
        assert entry.defaults == graph.signature_def[name].defaults
    assert tf.make_ndarray(told.signature_def["serving_default"].defaults["shift"]).tolist() == SHIFT.tolist()
