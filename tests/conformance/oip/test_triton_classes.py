"""Triton's classification extension, asked for by Triton's own clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from tests.support.gateway import RunningGateway

PIXELS = np.array([[[10, 20], [30, 40]], [[4, 3], [2, 1]]], np.uint8)
"""By `brightness`, whose version 4 answers (mean, first, last) times 4: labels `zero`, `one`, `two`."""

Ask = Callable[..., np.ndarray]


@pytest.fixture(params=["gRPC", "HTTP", "HTTP, JSON"])
def ask(request: pytest.FixtureRequest, gateway: RunningGateway) -> Ask:
    """Asks a model for its output as classes, and gives that output."""
    grpc = request.param == "gRPC"
    library: Any = triton_grpc if grpc else triton_http
    address = gateway.grpc_address if grpc else gateway.rest_url.removeprefix("http://")
    binary = {"binary_data": False} if request.param == "HTTP, JSON" else {}

    def classes(model: str, inputs: dict[str, tuple[str, np.ndarray]], output: str, count: int) -> np.ndarray:
        sent = []
        for name, (datatype, array) in inputs.items():
            sent.append(library.InferInput(name, array.shape, datatype))
            sent[-1].set_data_from_numpy(array)
        wanted = library.InferRequestedOutput(output, class_count=count, **binary)
        with library.InferenceServerClient(address) as client:
            found: np.ndarray = client.infer(model, sent, outputs=[wanted]).as_numpy(output)
        return np.vectorize(lambda value: value.encode() if isinstance(value, str) else value, otypes=[object])(found)

    return classes


def test_the_best_classes_come_with_their_values_and_labels(ask: Ask) -> None:
    found = ask("brightness", {"pixels": ("UINT8", PIXELS)}, "scores", 2)
    assert found.tolist() == [
        [b"160.000000:2:two", b"100.000000:0:zero"],
        [b"16.000000:1:one", b"10.000000:0:zero"],
    ]


def test_there_are_no_more_classes_than_the_model_has(ask: Ask) -> None:
    assert ask("brightness", {"pixels": ("UINT8", PIXELS)}, "scores", 99).shape == (2, 3)


def test_whole_numbers_are_written_as_such_and_without_labels_where_there_are_none(ask: Ask) -> None:
    array = np.array([[5, -7, 9]], np.int64)
    assert ask("echo-INT64", {"x": ("INT64", array)}, "y", 3).tolist() == [[b"9:2", b"5:0", b"-7:1"]]


def test_strings_have_no_best_class(ask: Ask) -> None:
    array = np.array([b"a"], object)
    with pytest.raises(InferenceServerException, match='output "y": expected rows of numbers for classification'):
        ask("text", {"x": ("BYTES", array)}, "y", 1)


def test_other_outputs_stay_as_they_are(gateway: RunningGateway) -> None:
    numbers = {"datatype": "FP32", "shape": [2], "data": [5, 1]}
    outputs = [{"name": "sum", "parameters": {"classification": 1}}, {"name": "difference"}]
    body = {"inputs": [{"name": "a", **numbers}, {"name": "b", **numbers}], "outputs": outputs}
    assert gateway.rest.post("/v2/models/pair/infer", json=body).json()["outputs"] == [
        {"name": "sum", "datatype": "BYTES", "shape": [2, 1], "data": ["10.000000:0", "2.000000:0"]},
        {"name": "difference", "datatype": "FP32", "shape": [2], "data": [0.0, 0.0]},
    ]


@pytest.mark.parametrize("count", [-1, "2", 1.5, True])
def test_a_number_of_classes_that_is_none_is_refused(count: Any, gateway: RunningGateway) -> None:
    numbers = {"datatype": "FP32", "shape": [1, 1], "data": [5]}
    outputs = [{"name": "y", "parameters": {"classification": count}}]
    answer = gateway.rest.post(
        "/v2/models/echo-FP32/infer", json={"inputs": [{"name": "x", **numbers}], "outputs": outputs}
    )
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        f'output "y": expected a whole number of classes as classification, received {count}',
    )


def test_typed_contents_are_answered_with_typed_classes(gateway: RunningGateway) -> None:
    request = triton_grpc.service_pb2.ModelInferRequest(model_name="brightness")
    request.inputs.add(name="pixels", datatype="UINT8", shape=[1, 2, 2]).contents.uint_contents.extend([10, 20, 30, 40])
    request.outputs.add(name="scores").parameters["classification"].int64_param = 1
    with triton_grpc.InferenceServerClient(gateway.grpc_address) as client:
        response = client._client_stub.ModelInfer(request, timeout=60.0)
    (output,) = response.outputs
    assert (output.datatype, list(output.shape)) == ("BYTES", [1, 1])
    assert list(output.contents.bytes_contents) == [b"160.000000:2:two"]
