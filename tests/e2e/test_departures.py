"""Clients that leave in the middle: what they asked for leaves the queue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
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


def test_a_client_of_rest_that_gives_up_leaves_the_queue(patient: RunningGateway) -> None:
    impatient = httpx.Client(base_url=patient.rest_url, timeout=httpx.Timeout(30.0, read=1.0))
    with impatient as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/models/brightness:predict", json={"instances": [[[1, 2], [3, 4]]]})
    wait_until(lambda: queued_rows(patient) == 0)


def test_a_deadline_ends_the_wait_with_its_status(patient: RunningGateway) -> None:
    with grpc.insecure_channel(patient.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Predict(predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8)), timeout=0.3)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: queued_rows(patient) == 0)
