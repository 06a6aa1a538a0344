"""Clients that leave in the middle: what they asked for leaves the queue."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import plain
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

AN_HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that waits an hour for a batch to fill."""
    models = Path(tmp_path_factory.mktemp("models"))
    write_bundle(models / "brightness" / "1")
    with running_gateway(models, batch_timeout_ms=AN_HOUR_MS) as running:
        yield running


def queued_rows(gateway: RunningGateway) -> int:
    (found,) = re.findall(r"^atelier_queue_rows\{.*\} (\S+)$", gateway.rest.get("/metrics").text, re.MULTILINE)
    return int(float(found))


def test_a_cancelled_call_leaves_the_queue(patient: RunningGateway) -> None:
    with grpc.insecure_channel(patient.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        call = stub.Predict.future(predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8)))
        wait_until(lambda: queued_rows(patient) == 1)
        call.cancel()
        wait_until(lambda: queued_rows(patient) == 0)


def test_a_cancelled_stream_takes_its_requests_with_it(patient: RunningGateway) -> None:
    pixels = triton.InferInput("pixels", [1, 2, 2], "UINT8")
    pixels.set_data_from_numpy(np.zeros((1, 2, 2), np.uint8))
    with triton.InferenceServerClient(patient.grpc_address) as client:
        client.start_stream(callback=lambda result, error: None)
        for _ in range(3):
            client.async_stream_infer("brightness", [pixels])
        wait_until(lambda: queued_rows(patient) == 3)
        client.stop_stream(cancel_requests=True)
        wait_until(lambda: queued_rows(patient) == 0)


REST_QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "rows": ("/v1/models/brightness:predict", {"json": {"instances": [[[1, 2], [3, 4]]]}}),
    "examples": (
        "/v1/models/brightness:classify",
        {"json": {"signature_name": "classify", "examples": [{"pixels": [1, 2, 3, 4]}]}},
    ),
    "an image": ("/v1/models/brightness:classify", {"content": plain(7)}),
    "a form of images": ("/v1/models/brightness:classify", {"files": [("image", ("one.png", plain(7)))]}),
    "an inference": (
        "/v2/models/brightness/infer",
        {"json": {"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, 2, 2], "data": [1, 2, 3, 4]}]}},
    ),
    "an inference of binary data": (
        "/v2/models/brightness/infer",
        {"content": bytes(4), "headers": {"inference-header-content-length": "0"}},
    ),
}


@pytest.mark.parametrize("question", REST_QUESTIONS)
def test_a_client_of_rest_that_gives_up_leaves_the_queue(question: str, patient: RunningGateway) -> None:
    path, body = REST_QUESTIONS[question]
    request = patient.rest.build_request("POST", path, **body)
    content = request.read()
    head = [b"POST %b HTTP/1.1" % request.url.raw_path, *(b"%b: %b" % header for header in request.headers.raw)]
    with socket.create_connection((request.url.host, request.url.port)) as connection:
        connection.sendall(b"\r\n".join([*head, b"", content]))
        wait_until(lambda: queued_rows(patient) == 1)
    wait_until(lambda: queued_rows(patient) == 0)


def test_a_deadline_ends_the_wait_with_its_status(patient: RunningGateway) -> None:
    with grpc.insecure_channel(patient.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Predict(predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8)), timeout=0.3)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: queued_rows(patient) == 0)
