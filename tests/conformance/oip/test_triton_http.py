"""Triton's own HTTP clients, blocking and asynchronous, against a gateway process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.support.gateway import RunningGateway
from tests.support.oip import ONNX_TYPES, RAW_ONLY, as_triton_has, extremes
from tests.support.onnx_models import expected_scores

PIXELS = np.array([[[10, 20], [30, 40]], [[1, 2], [3, 4]]], np.uint8)
LARGE = np.arange(20_000, dtype=np.float32).reshape(50, 400) % 7
IN_JSON = [datatype for datatype in ONNX_TYPES if datatype not in RAW_ONLY]
"""The client refuses to write the small floats as JSON."""


@pytest.fixture(scope="module")
def client(gateway: RunningGateway) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(gateway.rest_url.removeprefix("http://")) as client:
        yield client


def tensor(name: str, array: np.ndarray, datatype: str, *, binary: bool = True) -> triton.InferInput:
    made = triton.InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def refusal(call: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
    """Status and message of a call that must fail."""
    with pytest.raises(InferenceServerException) as raised:
        call(*args, **kwargs)
    return raised.value.status(), raised.value.message()


def test_the_server_is_live_ready_and_says_who_it_is(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    metadata = client.get_server_metadata()
    assert metadata["name"] == "atelier"
    assert {"binary_tensor_data", "statistics"} <= set(metadata["extensions"])


def test_a_model_is_ready_by_name_and_by_version(client: triton.InferenceServerClient) -> None:
    assert client.is_model_ready("brightness")
    assert client.is_model_ready("brightness", "4")
    assert not client.is_model_ready("brightness", "99")
    assert not client.is_model_ready("nothing")


def test_metadata_tells_names_datatypes_and_shapes(client: triton.InferenceServerClient) -> None:
    assert client.get_model_metadata("brightness", "4") == {
        "name": "brightness",
        "versions": ["4"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, 2, 2]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
    }


def test_the_configuration_has_tritons_form(client: triton.InferenceServerClient) -> None:
    assert client.get_model_config("pair") == {
        "name": "pair",
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 64,
        "input": [{"name": name, "data_type": "TYPE_FP32", "dims": []} for name in ("a", "b")],
        "output": [{"name": name, "data_type": "TYPE_FP32", "dims": []} for name in ("sum", "difference")],
        "dynamic_batching": {},
    }


@pytest.mark.parametrize("datatype", ONNX_TYPES)
def test_every_datatype_passes_unchanged_as_binary_data(datatype: str, client: triton.InferenceServerClient) -> None:
    array = as_triton_has(extremes(datatype))
    answer = client.infer(f"echo-{datatype}", [tensor("x", array, datatype)], request_id="42")
    assert answer.as_numpy("y").dtype == array.dtype
    assert answer.as_numpy("y").tolist() == array.tolist()
    response = answer.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("42", f"echo-{datatype}", "7")
    assert response["outputs"][0]["datatype"] == datatype


@pytest.mark.parametrize("datatype", IN_JSON)
def test_every_datatype_passes_unchanged_as_json(datatype: str, client: triton.InferenceServerClient) -> None:
    array = as_triton_has(extremes(datatype))
    wanted = [triton.InferRequestedOutput("y", binary_data=False)]
    answer = client.infer(f"echo-{datatype}", [tensor("x", array, datatype, binary=False)], outputs=wanted)
    received = answer.as_numpy("y").tolist()
    if datatype == "BYTES":
        received = [[text.encode() for text in row] for row in received]
    assert received == array.tolist()


def test_json_and_binary_data_may_be_mixed(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("a", np.float32([5, 7]), "FP32"), tensor("b", np.float32([2, 10]), "FP32", binary=False)]
    wanted = [
        triton.InferRequestedOutput("difference", binary_data=True),
        triton.InferRequestedOutput("sum", binary_data=False),
    ]
    answer = client.infer("pair", inputs, outputs=wanted)
    assert answer.as_numpy("sum").tolist() == [7, 17]
    assert answer.as_numpy("difference").tolist() == [3, -3]
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["difference", "sum"]
    assert answer.get_output("sum")["data"] == [7, 17]
    assert answer.get_output("difference")["parameters"] == {"binary_data_size": 8}


@pytest.mark.parametrize("request_algorithm", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_algorithm", [None, "gzip", "deflate"])
def test_bodies_may_be_compressed_both_ways(
    request_algorithm: str | None, response_algorithm: str | None, client: triton.InferenceServerClient
) -> None:
    answer = client.infer(
        "echo-FP32",
        [tensor("x", LARGE, "FP32")],
        request_compression_algorithm=request_algorithm,
        response_compression_algorithm=response_algorithm,
    )
    np.testing.assert_array_equal(answer.as_numpy("y"), LARGE)


def test_an_asynchronous_call_has_its_answer_later(client: triton.InferenceServerClient) -> None:
    pending = client.async_infer("brightness", [tensor("pixels", PIXELS, "UINT8")], model_version="4")
    np.testing.assert_array_equal(pending.get_result().as_numpy("scores"), expected_scores(PIXELS, scale=4.0))


def test_statistics_count_what_a_version_did(client: triton.InferenceServerClient) -> None:
    before = client.get_inference_statistics("echo-UINT64")["model_stats"][0]
    client.infer("echo-UINT64", [tensor("x", np.zeros((5, 2), np.uint64), "UINT64")])
    after = client.get_inference_statistics("echo-UINT64", "7")["model_stats"][0]
    assert (after["name"], after["version"]) == ("echo-UINT64", "7")
    assert after["inference_count"] - before["inference_count"] == 5
    assert after["execution_count"] - before["execution_count"] == 1
    assert after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"] == 1
    for part in ("queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"):
        assert after["inference_stats"][part].keys() == {"count", "ns"}, "perf_analyzer reads them unasked"
    names = {stats["name"] for stats in client.get_inference_statistics()["model_stats"]}
    assert {"brightness", "pair", "text"} <= names


def test_the_index_lists_every_version_with_its_state(client: triton.InferenceServerClient) -> None:
    index = client.get_model_repository_index()
    assert {"name": "brightness", "version": "4", "state": "READY", "reason": ""} in index
    assert len({model["name"] for model in index}) == 4 + len(ONNX_TYPES)


@pytest.mark.parametrize("method", ["get_model_metadata", "get_model_config", "get_inference_statistics"])
def test_an_unknown_model_is_named(method: str, client: triton.InferenceServerClient) -> None:
    expected = ("404", "Request for unknown model: 'nothing' is not found")
    assert refusal(getattr(client, method), "nothing") == expected


def test_inference_that_cannot_be_is_refused_in_a_sentence(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("x", np.zeros((2, 3), np.int32), "INT32")]
    assert refusal(client.infer, "nothing", inputs) == ("404", "Request for unknown model: 'nothing' is not found")
    assert refusal(client.infer, "text", inputs, model_version="9") == (
        "404",
        "Request for unknown model: 'text' version 9 is not found",
    )
    assert refusal(client.infer, "echo-FP32", inputs) == (
        "400",
        'input "x": expected datatype FP32, received INT32',
    )
    assert refusal(client.infer, "echo-INT32", inputs, outputs=[triton.InferRequestedOutput("z")]) == (
        "400",
        "unexpected inference output 'z' for model 'echo-INT32': expected one of y",
    )
    assert refusal(client.infer, "echo-INT32", inputs, timeout=0.5) == (
        "400",
        "timeout: expected a whole number of microseconds from 0, received 0.5",
    )


async def test_the_asynchronous_client_does_all_of_it_too(gateway: RunningGateway) -> None:
    async with triton_aio.InferenceServerClient(gateway.rest_url.removeprefix("http://")) as client:
        assert await client.is_server_ready()
        assert await client.is_model_ready("text", "1")
        metadata = await client.get_model_metadata("echo-FP16")
        assert metadata["inputs"][0]["datatype"] == "FP16"
        array = extremes("FP16")
        answer = await client.infer(
            "echo-FP16",
            [tensor("x", array, "FP16")],
            request_compression_algorithm="deflate",
            response_compression_algorithm="gzip",
        )
        np.testing.assert_array_equal(answer.as_numpy("y"), array)
        with pytest.raises(InferenceServerException, match="Request for unknown model: 'nothing' is not found"):
            await client.infer("nothing", [tensor("x", array, "FP16")])
