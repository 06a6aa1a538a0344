"""One gateway, with models of many kinds, for everything that only asks it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import onnx
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.signatures import DTYPES
from tests.support.bundles import write_bundle, write_regression
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.onnx_models import write_identity_model, write_two_input_model

MEGABYTE = 1_000_000
UNBOUNDED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves:

    `brightness` (a classifier of 2 x 2 gray images, versions 3 and 4; 4 is served) and `line` (a regression whose
    prediction is its one feature), with all signatures of exported bundles; `pair` (float32 a, b to sum, difference);
    `text` (strings to strings), `blob_bytes` (the same, of names that end in `_bytes`);
    `echo_DTYPE` for every dtype (x to y, [N, 2]); `large` (float32 x to y, [N, M]).
    """
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "3", scale=3.0)
    write_bundle(models / "brightness" / "4", scale=4.0)
    write_regression(models / "line" / "1")
    write_two_input_model(models / "pair" / "1")
    write_identity_model(models / "text" / "1", onnx.TensorProto.STRING, ["N"])
    write_identity_model(
        models / "blob_bytes" / "1", onnx.TensorProto.STRING, ["N"], names=("image_bytes", "copy_bytes")
    )
    write_identity_model(models / "large" / "1", onnx.TensorProto.FLOAT, ["N", "M"])
    for dtype in DTYPES.values():
        element = onnx.helper.np_dtype_to_tensor_dtype(dtype.numpy)
        write_identity_model(models / f"echo_{dtype.name}" / "1", element, ["N", 2])
    with running_gateway(models, max_request_bytes=120 * MEGABYTE) as running:
        yield running


@pytest.fixture(scope="session")
def channel(gateway: RunningGateway) -> Iterator[grpc.Channel]:
    """The official client's channel, for messages of any size."""
    with grpc.insecure_channel(gateway.grpc_address, options=UNBOUNDED) as channel:
        yield channel


@pytest.fixture(scope="session")
def stub(channel: grpc.Channel) -> prediction_service_pb2_grpc.PredictionServiceStub:
    """The official client's PredictionService."""
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="session")
def models(channel: grpc.Channel) -> model_service_pb2_grpc.ModelServiceStub:
    """The official client's ModelService."""
    return model_service_pb2_grpc.ModelServiceStub(channel)
