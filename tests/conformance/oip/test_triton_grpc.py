"""Triton's own gRPC clients, blocking and asynchronous, against a gateway process."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from tests.support.gateway import RunningGateway
from tests.support.oip import ONNX_TYPES, RAW_ONLY, as_triton_has, extremes
from tests.support.onnx_models import expected_scores

PIXELS = np.array([[[10, 20], [30, 40]], [[1, 2], [3, 4]]], np.uint8)


@pytest.fixture(scope="module")
def client(gateway: RunningGateway) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(gateway.grpc_address) as client:
        yield client


def tensor(name: str, array: np.ndarray, datatype: str) -> triton.InferInput:
    made = triton.InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array)
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
    assert metadata.name == "atelier"
    assert {"binary_tensor_data", "statistics"} <= set(metadata.extensions)


def test_a_model_is_ready_by_name_and_by_version(client: triton.InferenceServerClient) -> None:
    assert client.is_model_ready("brightness")
    assert client.is_model_ready("brightness", "4")


def test_an_unknown_model_is_not_ready_so_that_clients_can_wait_for_it(client: triton.InferenceServerClient) -> None:
    assert not client.is_model_ready("nothing")
    assert not client.is_model_ready("brightness", "99")


def test_metadata_tells_names_datatypes_and_shapes(client: triton.InferenceServerClient) -> None:
    assert client.get_model_metadata("brightness", as_json=True) == {
        "name": "brightness",
        "versions": ["4"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": ["-1", "2", "2"]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": ["-1", "3"]}],
    }


def test_the_configuration_counts_the_batch_apart_where_its_size_is_free(client: triton.InferenceServerClient) -> None:
    config = client.get_model_config("brightness").config
    assert (config.name, config.platform, config.backend) == ("brightness", "onnxruntime_onnx", "onnxruntime")
    assert config.max_batch_size == 64
    assert list(config.input[0].dims) == [2, 2]
    assert list(config.output[0].dims) == [3]
    fixed = client.get_model_config("fixed").config
    assert fixed.max_batch_size == 0
    assert list(fixed.input[0].dims) == [2, 2, 2]


@pytest.mark.parametrize("datatype", ONNX_TYPES)
def test_every_datatype_passes_unchanged(datatype: str, client: triton.InferenceServerClient) -> None:
    array = as_triton_has(extremes(datatype))
    answer = client.infer(f"echo-{datatype}", [tensor("x", array, datatype)], request_id="42")
    assert answer.as_numpy("y").dtype == array.dtype
    assert answer.as_numpy("y").tolist() == array.tolist()
    response = answer.get_response()
    assert (response.id, response.model_name, response.model_version) == ("42", f"echo-{datatype}", "7")
    assert response.outputs[0].datatype == datatype


@pytest.mark.parametrize("datatype", ONNX_TYPES)
def test_typed_contents_are_answered_with_typed_contents(datatype: str, gateway: RunningGateway) -> None:
    """As KServe's clients send them; the small floats have none, so they are only ever raw."""
    array = extremes(datatype)
    field = {
        **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
        **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    }.get(datatype, f"{datatype.lower()}_contents")
    request = service_pb2.ModelInferRequest(model_name=f"echo-{datatype}", id="42")
    sent = request.inputs.add(name="x", datatype=datatype, shape=array.shape)
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        infer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        if datatype in RAW_ONLY:
            with pytest.raises(grpc.RpcError, match=f"expected {datatype} in raw_input_contents, received none"):
                infer(request, timeout=60.0)
            return
        getattr(sent.contents, field).extend(array.ravel().tolist())
        response = infer(request, timeout=60.0)
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", datatype, [2, 3])
    assert list(getattr(output.contents, field)) == array.ravel().tolist()
    assert not response.raw_output_contents
    assert response.id == "42"


@pytest.mark.parametrize(
    ("raw", "contents", "message"),
    [
        ([bytes(4)], True, 'input "a": expected raw_input_contents or contents, received both'),
        ([bytes(4)], False, "raw_input_contents: expected one for each of 2 inputs, received 1"),
        ([bytes(4)] * 3, False, "raw_input_contents: expected one for each of 2 inputs, received 3"),
        ([bytes(4), bytes(5)], False, 'input "b": expected 4 bytes for shape [1] of FP32, received 5'),
        ([], False, 'input "a": expected 1 values in fp32_contents for shape [1], received 0'),
    ],
)
def test_contents_that_do_not_add_up_are_refused(
    raw: list[bytes], contents: bool, message: str, gateway: RunningGateway
) -> None:
    request = service_pb2.ModelInferRequest(model_name="pair", raw_input_contents=raw * (2 if contents else 1))
    for name in ("a", "b"):
        sent = request.inputs.add(name=name, datatype="FP32", shape=[1])
        if contents:
            sent.contents.fp32_contents.append(1.0)
    with grpc.insecure_channel(gateway.grpc_address) as channel, pytest.raises(grpc.RpcError) as raised:
        service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60.0)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)


def test_a_version_may_be_asked_for(client: triton.InferenceServerClient) -> None:
    answer = client.infer("brightness", [tensor("pixels", PIXELS, "UINT8")], model_version="4")
    np.testing.assert_array_equal(answer.as_numpy("scores"), expected_scores(PIXELS, scale=4.0))
    assert answer.get_response().model_version == "4"


def test_several_inputs_may_come_in_any_order_and_outputs_go_in_the_order_asked_for(
    client: triton.InferenceServerClient,
) -> None:
    inputs = [tensor("b", np.float32([2, 10]), "FP32"), tensor("a", np.float32([5, 7]), "FP32")]
    wanted = [triton.InferRequestedOutput("difference"), triton.InferRequestedOutput("sum")]
    answer = client.infer("pair", inputs, outputs=wanted)
    assert answer.as_numpy("sum").tolist() == [7, 17]
    assert answer.as_numpy("difference").tolist() == [3, -3]
    assert [output.name for output in answer.get_response().outputs] == ["difference", "sum"]


def test_an_output_that_was_not_asked_for_does_not_come(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("a", np.float32([5]), "FP32"), tensor("b", np.float32([2]), "FP32")]
    answer = client.infer("pair", inputs, outputs=[triton.InferRequestedOutput("sum")])
    assert [output.name for output in answer.get_response().outputs] == ["sum"]


def test_more_rows_than_a_batch_holds_come_back_in_order(client: triton.InferenceServerClient) -> None:
    array = np.arange(1000, dtype=np.float32).reshape(500, 2)
    answer = client.infer("echo-FP32", [tensor("x", array, "FP32")])
    np.testing.assert_array_equal(answer.as_numpy("y"), array)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_are_read(algorithm: str, client: triton.InferenceServerClient) -> None:
    array = np.zeros((50, 400), np.float32)
    answer = client.infer("echo-FP32", [tensor("x", array, "FP32")], compression_algorithm=algorithm)
    np.testing.assert_array_equal(answer.as_numpy("y"), array)


def test_parameters_of_ones_own_are_accepted(client: triton.InferenceServerClient) -> None:
    parameters = {"tenant": "blue", "weight": 3, "loud": True}
    answer = client.infer("text", [tensor("x", np.array([b"a"], object), "BYTES")], parameters=parameters)
    assert answer.as_numpy("y").tolist() == [b"a"]


def test_an_asynchronous_call_hands_its_answer_to_the_callback(client: triton.InferenceServerClient) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    client.async_infer(
        "text",
        [tensor("x", np.array([b"a"], object), "BYTES")],
        callback=lambda result, error: answers.put((result, error)),
    )
    result, error = answers.get(timeout=60.0)
    assert error is None
    assert result.as_numpy("y").tolist() == [b"a"]


def test_statistics_count_what_a_version_did(client: triton.InferenceServerClient) -> None:
    before = client.get_inference_statistics("echo-INT64", "7").model_stats[0]
    client.infer("echo-INT64", [tensor("x", np.zeros((5, 2), np.int64), "INT64")])
    after = client.get_inference_statistics("echo-INT64", "7").model_stats[0]
    assert (after.name, after.version) == ("echo-INT64", "7")
    assert after.inference_count - before.inference_count == 5
    assert after.execution_count - before.execution_count == 1
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1
    assert after.inference_stats.success.ns > before.inference_stats.success.ns
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns
    assert after.last_inference >= before.last_inference


def test_statistics_without_a_name_are_of_every_model_that_answers(client: triton.InferenceServerClient) -> None:
    names = {stats.name for stats in client.get_inference_statistics().model_stats}
    assert {"brightness", "pair", "text", "echo-FP16"} <= names


def test_the_index_lists_every_version_with_its_state(client: triton.InferenceServerClient) -> None:
    index = {model.name: (model.version, model.state) for model in client.get_model_repository_index().models}
    assert index["brightness"] == ("4", "READY")
    assert index["text"] == ("1", "READY")


@pytest.mark.parametrize("method", ["get_model_metadata", "get_model_config", "get_inference_statistics"])
def test_an_unknown_model_is_named(method: str, client: triton.InferenceServerClient) -> None:
    assert refusal(getattr(client, method), "nothing") == (
        "StatusCode.NOT_FOUND",
        "Request for unknown model: 'nothing' is not found",
    )


def test_inference_with_an_unknown_model_or_version_is_refused(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("x", np.array([b"a"], object), "BYTES")]
    assert refusal(client.infer, "nothing", inputs) == (
        "StatusCode.NOT_FOUND",
        "Request for unknown model: 'nothing' is not found",
    )
    assert refusal(client.infer, "text", inputs, model_version="9") == (
        "StatusCode.NOT_FOUND",
        "Request for unknown model: 'text' version 9 is not found",
    )
    assert refusal(client.infer, "text", inputs, model_version="new") == (
        "StatusCode.INVALID_ARGUMENT",
        "model version: expected a whole number, received 'new'",
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "inputs: expected x, received none"),
        ([tensor("z", np.zeros((1, 1), np.float32), "FP32")], "inputs: expected x, received z"),
        (
            [tensor("x", np.zeros((1, 1), np.float32), "FP32")] * 2,
            "inputs: expected x, received x, x",
        ),
        (
            [tensor("x", np.zeros((1, 1), np.int32), "INT32")],
            'input "x": expected datatype FP32, received INT32',
        ),
        (
            [tensor("x", np.zeros((1, 1, 1), np.float32), "FP32")],
            'input "x": expected shape [?, ?], received [1, 1, 1]',
        ),
        ([tensor("x", np.zeros((0, 1), np.float32), "FP32")], "expected at least one row, received none"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_a_sentence(
    inputs: list[triton.InferInput], message: str, client: triton.InferenceServerClient
) -> None:
    assert refusal(client.infer, "echo-FP32", inputs) == ("StatusCode.INVALID_ARGUMENT", message)


def test_an_unknown_output_is_refused_in_tritons_words(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("x", np.zeros((1, 1), np.float32), "FP32")]
    status, message = refusal(client.infer, "echo-FP32", inputs, outputs=[triton.InferRequestedOutput("z")])
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert message == "unexpected inference output 'z' for model 'echo-FP32': expected one of y"


def test_what_this_gateway_does_not_offer_is_refused_and_not_ignored(client: triton.InferenceServerClient) -> None:
    assert refusal(client.load_model, "brightness")[0] == "StatusCode.UNIMPLEMENTED"
    assert refusal(client.unload_model, "brightness")[0] == "StatusCode.UNIMPLEMENTED"
    assert refusal(client.get_system_shared_memory_status)[0] == "StatusCode.UNIMPLEMENTED"


def test_the_clients_deadline_ends_the_call(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("x", np.zeros((1, 10_000_000), np.float32), "FP32")]  # takes longer than that to send
    assert refusal(client.infer, "echo-FP32", inputs, client_timeout=0.001)[0] == "StatusCode.DEADLINE_EXCEEDED"


async def test_the_asynchronous_client_does_all_of_it_too(gateway: RunningGateway) -> None:
    async with triton_aio.InferenceServerClient(gateway.grpc_address) as client:
        assert await client.is_server_ready()
        assert await client.is_model_ready("text", "1")
        metadata = await client.get_model_metadata("echo-FP16")
        assert metadata.inputs[0].datatype == "FP16"
        array = extremes("FP16")
        answer = await client.infer("echo-FP16", [tensor("x", array, "FP16")], compression_algorithm="gzip")
        np.testing.assert_array_equal(answer.as_numpy("y"), array)
        with pytest.raises(InferenceServerException, match="Request for unknown model: 'nothing' is not found"):
            await client.infer("nothing", [tensor("x", array, "FP16")])
