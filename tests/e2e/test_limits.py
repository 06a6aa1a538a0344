"""What is larger than the gateway's limits, over gRPC."""

from __future__ import annotations

import grpc
import numpy as np
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.support.gateway import RunningGateway
from tests.support.tfs import failure, predict_request


def test_a_message_over_the_limit_is_refused(gateway: RunningGateway) -> None:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        code, text = failure(stub.Predict, predict_request("brightness", pixels=np.zeros((300_000, 2, 2), np.uint8)))
    assert (code, text) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "request body: expected at most 1,000,005 bytes, received more",
    )
