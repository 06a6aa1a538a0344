"""What a failed call says to programs, as Google's own packages read it: `grpcio-status` and `google.rpc`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tensorflow_serving.apis import prediction_service_pb2_grpc

from serving.errors import ServingError
from serving.frontends.grpc_transport import CODE_OF_CAUSE, REASON_OF_CAUSE
from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

Stub = prediction_service_pb2_grpc.PredictionServiceStub
PIXELS = np.zeros((2, 2, 2), np.uint8)


def failure(stub: Stub, request: Any, timeout: float = 30.0) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(request, timeout=timeout)
    return refused.value


def reason(error: grpc.RpcError) -> tuple[str, str]:
    """Reason and domain of the ErrorInfo; the status in the details is that of the call, or it could not be read."""
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason, info.domain


def test_every_cause_has_a_code_and_a_reason() -> None:
    assert CODE_OF_CAUSE.keys() == REASON_OF_CAUSE.keys()
    assert all(issubclass(cause, ServingError) for cause in REASON_OF_CAUSE)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (predict_request("nothing", pixels=PIXELS), "MODEL_NOT_FOUND"),
        (predict_request("brightness", pixels=np.float32([1])), "INVALID_INPUT"),
        (predict_request("brightness", "none", pixels=PIXELS), "SIGNATURE_NOT_FOUND"),
        (predict_request("x" * 300 + "ü", pixels=PIXELS), "MODEL_NOT_FOUND"),
    ],
    ids=["no model", "no float", "no signature", "a long name"],
)
def test_the_reason_tells_causes_apart(request_: Any, expected: str, stub: Stub) -> None:
    assert reason(failure(stub, request_)) == (expected, "atelier")


def test_a_very_long_text_is_not_said_twice(stub: Stub) -> None:
    error = failure(stub, predict_request("x" * 3000, pixels=PIXELS))
    assert rpc_status.from_call(error) is None
    assert error.details().endswith("...TRUNCATED")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway whose model waits for one more row than its queue may hold."""
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path, max_queue_rows=2, max_batch_size=64, batch_timeout_ms=60_000) as running:
        yield running


def scrape(gateway: RunningGateway) -> str:
    return gateway.rest.get("/metrics").text


def test_an_overloaded_gateway_says_when_to_come_back(full: RunningGateway) -> None:
    with grpc.insecure_channel(full.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        waiting = stub.Predict.future(predict_request("brightness", pixels=PIXELS), timeout=60.0)
        wait_until(lambda: 'atelier_requests_in_flight{model_name="brightness",version="1"} 1.0' in scrape(full))
        error = failure(stub, predict_request("brightness", pixels=PIXELS))
        waiting.cancel()
    status = rpc_status.from_call(error)
    retry = error_details_pb2.RetryInfo()
    assert reason(error) == ("OVERLOADED", "atelier")
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() > 0
