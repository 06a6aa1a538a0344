"""`ModelStreamInfer` by the streams of Triton's own clients."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.onnx_models import write_identity_model

Answers = queue.Queue[tuple[triton.InferResult | None, InferenceServerException | None]]


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(gateway.grpc_address) as client:
        yield client


def numbers(*values: float) -> list[triton.InferInput]:
    tensor = triton.InferInput("x", [1, len(values)], "FP32")
    tensor.set_data_from_numpy(np.array([values], np.float32))
    return [tensor]


def open_stream(client: triton.InferenceServerClient, **options: Any) -> Answers:
    answers: Answers = queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put((result, error)), **options)
    return answers


def test_every_request_of_a_stream_is_answered_in_order(client: triton.InferenceServerClient) -> None:
    answers = open_stream(client)
    for number in range(200):
        client.async_stream_infer("echo-FP32", numbers(number), request_id=str(number))
    found = [answers.get(timeout=60.0)[0] for _ in range(200)]
    client.stop_stream()
    assert all(result is not None for result in found)
    assert [result.get_response().id for result in found if result] == [str(number) for number in range(200)]
    assert [result.as_numpy("y").tolist() for result in found if result] == [[[number]] for number in range(200)]
    finals = [result.get_response().parameters["triton_final_response"].bool_param for result in found if result]
    assert finals == [True] * 200


def test_a_request_that_fails_leaves_the_stream_to_the_others(client: triton.InferenceServerClient) -> None:
    answers = open_stream(client)
    client.async_stream_infer("nothing", numbers(1), request_id="lost")
    client.async_stream_infer("echo-FP32", numbers(2), request_id="found")
    _, error = answers.get(timeout=60.0)
    result, no_error = answers.get(timeout=60.0)
    client.stop_stream()
    assert error is not None
    assert error.message() == "Request for unknown model: 'nothing' is not found"
    assert no_error is None
    assert result is not None
    assert result.get_response().id == "found"


def test_messages_of_many_megabytes_pass(client: triton.InferenceServerClient) -> None:
    answers = open_stream(client)
    client.async_stream_infer("echo-FP32", numbers(*range(1_000_000)))
    result, error = answers.get(timeout=60.0)
    client.stop_stream()
    assert error is None
    assert result is not None
    assert result.as_numpy("y").sum() == np.arange(1_000_000, dtype=np.float32).sum()


def test_a_stream_without_a_request_ends_well(client: triton.InferenceServerClient) -> None:
    answers = open_stream(client)
    client.stop_stream()
    assert answers.empty()


def test_a_stream_may_have_a_deadline(gateway: RunningGateway) -> None:
    with triton.InferenceServerClient(gateway.grpc_address) as client:
        answers = open_stream(client, stream_timeout=0.5)
        _, error = answers.get(timeout=60.0)
    assert error is not None
    assert error.status() == "StatusCode.DEADLINE_EXCEEDED"


async def test_the_asynchronous_client_streams_too(gateway: RunningGateway) -> None:
    async def requests() -> Any:
        for number in range(10):
            yield {"model_name": "echo-FP32", "inputs": numbers(number), "request_id": str(number)}

    async with triton_aio.InferenceServerClient(gateway.grpc_address) as client:
        found = [(result.get_response().id, error) async for result, error in client.stream_infer(requests())]
    assert found == [(str(number), None) for number in range(10)]


def test_a_quiet_stream_outlives_the_time_that_a_request_may_take_to_arrive(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    models = tmp_path_factory.mktemp("models")
    write_identity_model(models / "echo-FP32" / "1", 1, ["N", "M"])
    with (
        running_gateway(models, request_timeout_s=3.0) as gateway,
        triton.InferenceServerClient(gateway.grpc_address) as client,
    ):
        answers = open_stream(client)
        with pytest.raises(queue.Empty):
            answers.get(timeout=5.0)  # nothing ends it
        client.async_stream_infer("echo-FP32", numbers(5))
        result, error = answers.get(timeout=60.0)
        client.stop_stream()
    assert error is None
    assert result is not None
