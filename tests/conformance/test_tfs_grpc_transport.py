"""gRPC itself, as TensorFlow Serving's client sees it: compression, size, deadlines, errors."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from serving.offload.answer_writer import MAX_WRITTEN_HERE_BYTES
from tests.conformance.conftest import UNBOUNDED
from tests.support.gateway import RunningGateway
from tests.support.tfs import failure, outputs, predict_request

Stub = prediction_service_pb2_grpc.PredictionServiceStub
LARGE = np.random.default_rng(0).random((1, 25_000_000), np.float32)


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("size", [2, 5000])
def test_compressed_messages_are_read_and_answered(
    compression: grpc.Compression, size: int, gateway: RunningGateway
) -> None:
    values = np.arange(size, dtype=np.float32)[np.newaxis]
    with grpc.insecure_channel(gateway.grpc_address, compression=compression) as channel:
        response = Stub(channel).Predict(predict_request("large", x=values), timeout=60.0)
    assert outputs(response)["y"].tolist() == values.tolist()


def test_messages_of_100_megabytes_pass_both_ways(stub: Stub) -> None:
    response = stub.Predict(predict_request("large", x=LARGE), timeout=120.0)
    assert np.array_equal(outputs(response)["y"], LARGE)


def test_an_answer_that_the_helper_process_writes_is_whole(stub: Stub) -> None:
    rows = np.array([[b"%d " % number * 40, b""] for number in range(4000)], object)
    answer = outputs(stub.Predict(predict_request("echo_string", x=rows), timeout=120.0))["y"]
    assert sum(map(len, rows.flat)) > MAX_WRITTEN_HERE_BYTES
    assert answer.tolist() == rows.tolist()


def test_a_call_is_its_clients_to_cancel_and_the_next_is_answered(stub: Stub) -> None:
    call = stub.Predict.future(predict_request("large", x=LARGE), timeout=120.0)
    call.cancel()
    assert call.cancelled()
    assert stub.Predict(predict_request("large", x=np.float32([[1.0]])), timeout=60.0)


def test_a_deadline_that_has_passed_is_told_as_such(stub: Stub) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(predict_request("large", x=LARGE), timeout=0.001)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_metadata_of_the_call_is_ignored(stub: Stub) -> None:
    metadata = [("x-request-id", "7"), ("trace-bin", b"\x00\xff")]
    assert stub.Predict(predict_request("large", x=np.float32([[1.0]])), timeout=60.0, metadata=metadata)


def test_a_status_text_is_cut_where_tensorflow_serving_cuts_it(stub: Stub) -> None:
    code, text = failure(stub.Predict, predict_request("ü" * 2000, x=np.float32([[1.0]])))
    assert code is grpc.StatusCode.NOT_FOUND
    assert text == ("Servable not found for request: Latest(" + "ü" * 2000)[:1024] + "...TRUNCATED"


def test_a_client_waits_for_ready_and_is_answered(gateway: RunningGateway) -> None:
    with grpc.insecure_channel(gateway.grpc_address, options=UNBOUNDED) as channel:
        request = predict_request("large", x=np.float32([[1.0]]))
        assert Stub(channel).Predict(request, timeout=60.0, wait_for_ready=True)
