"""Models of complex numbers: TensorFlow Serving's Predict over gRPC answers them, what has no form for them says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
import tritonclient.grpc as triton
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc
from tritonclient.utils import InferenceServerException

from tests.support.foreign_models import write_spectrum
from tests.support.gateway import RunningGateway
from tests.support.saved_model_gateway import SAVED_MODEL_BACKENDS, saved_model_gateway
from tests.support.tfs import failure, outputs, predict_request
from tests.support.wire_forms import BYTES, field, tensor_head, unpacked_doubles, unpacked_floats

Stub = prediction_service_pb2_grpc.PredictionServiceStub
DTYPES = pytest.mark.parametrize("dtype", [np.complex64, np.complex128], ids=["complex64", "complex128"])
WAVES = np.array([[1 + 2j, -0.5j, 3, 0], [0.25, 1j, -1j, 1e6 - 1e6j]])
NUMBERS = {np.complex64: 8, np.complex128: 18}


@pytest.fixture(scope="module", params=SAVED_MODEL_BACKENDS)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("complex")
    write_spectrum(folder / "models" / "spectrum" / "1")
    with saved_model_gateway(folder / "models", request.param, folder) as running:
        yield running


@pytest.fixture(scope="module")
def channel(gateway: RunningGateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> Stub:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def signature_of(dtype: type[np.complexfloating[Any, Any]]) -> str:
    return "serving_default" if dtype is np.complex64 else dtype.__name__


def typed(waves: np.ndarray, values: int | None = None) -> tensor_pb2.TensorProto:
    """The rows in the dtype's own field, or only the first `values` of them."""
    official = tf.make_tensor_proto(waves)
    for name in ("tensor_content", "scomplex_val", "dcomplex_val"):
        official.ClearField(name)
    pairs = waves.ravel()[:values].view(waves.real.dtype).tolist()
    (official.scomplex_val if waves.dtype == np.complex64 else official.dcomplex_val).extend(pairs)
    return official


def spectrum(stub: Stub, tensor: Any, dtype: type[np.complexfloating[Any, Any]]) -> np.ndarray:
    request = predict_request("spectrum", signature_of(dtype), x=tensor)
    return outputs(stub.Predict(request, timeout=60.0))["spectrum"]


def expect_spectrum(answer: np.ndarray, waves: np.ndarray) -> None:
    assert answer.dtype == waves.dtype
    np.testing.assert_allclose(answer, np.fft.fft(waves), rtol=1e-5, atol=1e-3)


@DTYPES
def test_every_encoding_of_a_wave_gives_its_spectrum(stub: Stub, dtype: type[np.complexfloating[Any, Any]]) -> None:
    waves = WAVES.astype(dtype)
    for tensor in (tf.make_tensor_proto(waves), typed(waves)):
        expect_spectrum(spectrum(stub, tensor, dtype), waves)
    expect_spectrum(spectrum(stub, typed(waves, 1), dtype), np.full_like(waves, waves[0, 0]))
    filled = waves.copy()
    filled.reshape(-1)[3:] = waves[0, 2]
    expect_spectrum(spectrum(stub, typed(waves, 3), dtype), filled)


@DTYPES
def test_pairs_that_are_not_packed_are_read_as_tensorflow_reads_them(
    channel: grpc.Channel, dtype: type[np.complexfloating[Any, Any]]
) -> None:
    parts = [1.5, -2.0, 0.0, 3.0, 0.25, 0.0, 0.0, -1.0]
    values = unpacked_floats(9, parts) if dtype is np.complex64 else unpacked_doubles(12, parts)
    tensor = tensor_head(NUMBERS[dtype], [1, 4]) + values
    head = predict_request("spectrum", signature_of(dtype)).SerializeToString()
    message = head + field(2, BYTES, field(1, BYTES, b"x") + field(2, BYTES, tensor))
    official = predict_pb2.PredictRequest.FromString(message).inputs["x"]
    call = channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        response_deserializer=predict_pb2.PredictResponse.FromString,
    )

    expect_spectrum(outputs(call(message, timeout=60.0))["spectrum"], tf.make_ndarray(official))


@DTYPES
def test_the_answer_is_in_the_dtypes_own_field(stub: Stub, dtype: type[np.complexfloating[Any, Any]]) -> None:
    request = predict_request("spectrum", signature_of(dtype), x=WAVES.astype(dtype))
    tensor = stub.Predict(request, timeout=60.0).outputs["spectrum"]

    own = "scomplex_val" if dtype is np.complex64 else "dcomplex_val"
    assert {descriptor.name for descriptor, _ in tensor.ListFields()} == {"dtype", "tensor_shape", own}
    assert tensor.dtype == NUMBERS[dtype]


def test_waves_that_are_asked_for_at_once_get_each_its_own_spectrum(gateway: RunningGateway) -> None:
    waves = np.random.default_rng(5).normal(size=(64, 1, 8)).astype(np.float32).view(np.complex64)

    async def ask() -> list[np.ndarray]:
        async with grpc.aio.insecure_channel(gateway.grpc_address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            requests = [predict_request("spectrum", x=wave) for wave in waves]
            answers = await asyncio.gather(*(stub.Predict(request, timeout=60.0) for request in requests))
            return [outputs(answer)["spectrum"] for answer in answers]

    for answer, wave in zip(asyncio.run(ask()), waves, strict=True):
        expect_spectrum(answer, wave)


def test_real_numbers_have_a_complex_spectrum_and_a_filter_takes_what_it_names(stub: Stub) -> None:
    levels = np.float32([[1, 2, 3, 4], [0, 0, 1, 0]])
    request = predict_request("spectrum", "of_floats", x=levels)
    answer = outputs(stub.Predict(request, timeout=60.0))
    expect_spectrum(answer["spectrum"], levels.astype(np.complex128))
    np.testing.assert_allclose(answer["power"], np.abs(np.fft.fft(levels)), rtol=1e-5)

    request.output_filter.append("power")
    assert outputs(stub.Predict(request, timeout=60.0)).keys() == {"power"}


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (np.zeros((1, 4), np.float32), 'input "x": expected dtype complex64, received float32'),
        (np.zeros((1, 4), np.complex128), 'input "x": expected dtype complex64, received complex128'),
        (np.zeros((1, 3), np.complex64), 'input "x": expected shape [?, 4], received [1, 3]'),
        (
            tensor_pb2.TensorProto(
                dtype=8, tensor_shape=tf.TensorShape([1, 4]).as_proto(), scomplex_val=[1.0, 2.0, 3.0]
            ),
            'input "x": expected pairs of numbers in scomplex_val, received 3',
        ),
        (
            tensor_pb2.TensorProto(dtype=8, tensor_shape=tf.TensorShape([1, 4]).as_proto(), scomplex_val=[0.0] * 10),
            'input "x": expected at most 4 values, received 5',
        ),
    ],
    ids=["floats", "another precision", "another shape", "half a number", "too many"],
)
def test_what_is_no_such_wave_is_refused(stub: Stub, tensor: Any, reason: str) -> None:
    assert failure(stub.Predict, predict_request("spectrum", x=tensor)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        reason,
    )


def test_metadata_names_the_dtypes(stub: Stub, gateway: RunningGateway) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "spectrum"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=60.0).metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["x"].dtype == NUMBERS[np.complex64]
    assert signatures.signature_def["complex128"].outputs["spectrum"].dtype == NUMBERS[np.complex128]

    document = gateway.rest.get("/v1/models/spectrum/metadata").json()
    defined = document["metadata"]["signature_def"]["signature_def"]
    assert defined["complex128"]["inputs"]["x"]["dtype"] == "DT_COMPLEX128"


@pytest.mark.parametrize(
    ("body", "status", "tensor"),
    [
        ({"instances": [[1, 2, 3, 4]]}, 400, '"x": JSON has no complex64 values'),
        ({"inputs": [[1, 2, 3, 4]]}, 501, '"x": JSON has no complex64 values'),
        (
            {"signature_name": "of_floats", "instances": [[1, 2, 3, 4]]},
            400,
            '"spectrum": JSON has no complex128 values',
        ),
        ({"signature_name": "of_floats", "inputs": [[1, 2, 3, 4]]}, 400, '"spectrum": JSON has no complex128 values'),
        (
            {"signature_name": "of_floats", "instances": [[1, 2, 3, 4]] * 1000},
            400,
            '"spectrum": JSON has no complex128 values',
        ),
    ],
    ids=["rows", "columns", "an answer in rows", "an answer in columns", "an answer in many rows"],
)
def test_json_refuses_with_tensorflow_servings_codes(
    gateway: RunningGateway, body: Any, status: int, tensor: str
) -> None:
    answer = gateway.rest.post("/v1/models/spectrum:predict", json=body)
    assert answer.status_code == status
    assert answer.json() == {"error": f"{tensor}, ask PredictionService.Predict over gRPC"}


def test_signatures_without_complex_numbers_are_asked_as_ever(gateway: RunningGateway) -> None:
    body = {"signature_name": "plain", "instances": [[1, 2, 3, 4]]}
    answer = gateway.rest.post("/v1/models/spectrum:predict", json=body)
    assert answer.json() == {"predictions": [[2, 4, 6, 8]]}
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    body = {"parameters": {"signature_name": "plain"}, "inputs": [tensor]}
    answer = gateway.rest.post("/v2/models/spectrum/infer", json=body)
    assert answer.json()["outputs"][0]["data"] == [2, 4, 6, 8]


@pytest.mark.parametrize("datatype", ["", "FP32", "C64"])
def test_the_open_inference_protocol_says_that_it_has_no_such_datatype(gateway: RunningGateway, datatype: str) -> None:
    tensor = {"name": "x", "datatype": datatype, "shape": [1, 4], "data": [1, 2, 3, 4]}
    answers = [
        gateway.rest.post("/v2/models/spectrum/infer", json={"inputs": [tensor]}),
        *(gateway.rest.get(f"/v2/models/spectrum{page}") for page in ("", "/config")),
    ]
    assert [answer.status_code for answer in answers] == [501] * 3
    said = "has no complex64 values, ask TensorFlow Serving's PredictionService.Predict over gRPC"
    assert [answer.json()["error"] for answer in answers] == [f'"x": the Open Inference Protocol {said}'] * 3
    assert gateway.rest.get("/v2/models/spectrum/ready").status_code == 200


def test_raw_bytes_are_no_complex_numbers_to_the_open_inference_protocol(gateway: RunningGateway) -> None:
    raw = WAVES.astype(np.complex64).tobytes()
    headers = {"inference-header-content-length": "0"}
    assert gateway.rest.post("/v2/models/spectrum/infer", content=raw, headers=headers).status_code == 501

    with triton.InferenceServerClient(gateway.grpc_address) as client:
        asked = triton.InferInput("x", [1, 4], "FP64")
        asked.set_data_from_numpy(np.zeros((1, 4)))
        for call in (lambda: client.infer("spectrum", [asked]), lambda: client.get_model_metadata("spectrum")):
            with pytest.raises(InferenceServerException, match="has no complex64 values") as unsupported:
                call()
            assert unsupported.value.status() == "StatusCode.UNIMPLEMENTED"


def test_the_document_offers_only_what_json_can_hold(gateway: RunningGateway) -> None:
    document = gateway.rest.get("/openapi.json").json()
    operation = document["paths"]["/v1/models/spectrum:predict"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["examples"].keys() == {"plain"}
    infer = document["paths"]["/v2/models/spectrum/infer"]["post"]
    assert infer["requestBody"]["content"]["application/json"]["examples"].keys() == {"plain"}
    (about,) = (tag["description"] for tag in document["tags"] if tag["name"] == "spectrum")
    assert "serving_default: x complex64 [?, 4] → spectrum complex64 [?, 4]" in about
