"""Models of other kinds, run by ONNX Runtime, TensorFlow, and TensorFlow Serving; kinds.toml is the table."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.signatures import DTYPES
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.kinds import write_onnx_kinds, write_saved_model_kinds
from tests.support.saved_model_gateway import SAVED_MODEL_BACKENDS, saved_model_gateway
from tests.support.tfs import failure, outputs, predict_request

CASES: dict[str, dict[str, Any]] = {
    case["name"]: case
    for case in tomllib.loads((Path(__file__).parent / "kinds.toml").read_text(encoding="utf-8"))["case"]
}
ANSWERED = [name for name, case in CASES.items() if "outputs" in case]
MODELS = ("mixed", "counted", "words", "liking", "halved", "total")


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("saved_models")
    write_saved_model_kinds(models)
    return models


@pytest.fixture(scope="module", params=["onnx", *SAVED_MODEL_BACKENDS])
def kinds(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, saved_models: Path
) -> Iterator[RunningGateway]:
    """The same models, run by each back end."""
    folder = tmp_path_factory.mktemp("kinds")
    if request.param == "onnx":
        write_onnx_kinds(folder)
        with running_gateway(folder) as running:
            yield running
        return
    with saved_model_gateway(saved_models, request.param, folder) as running:
        yield running


@pytest.fixture(scope="module")
def stub(kinds: RunningGateway) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    with grpc.insecure_channel(kinds.grpc_address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def array(tensor: Mapping[str, Any]) -> np.ndarray:
    """A tensor of the table."""
    if tensor["dtype"] == "string":
        values = np.array(tensor["data"], dtype=object)
        flat = np.empty(values.size, dtype=object)
        flat[:] = [value.encode() for value in values.ravel()]
        return flat.reshape(values.shape)
    made = np.array(tensor["data"], DTYPES[tensor["dtype"]].numpy)
    return made.reshape(tensor.get("shape", made.shape))


def request_of(case: Mapping[str, Any]) -> predict_pb2.PredictRequest:
    return predict_request(case["model"], **{name: array(tensor) for name, tensor in case["inputs"].items()})


@pytest.mark.parametrize("name", CASES)
def test_tensorflow_servings_client_gets_the_tables_answer(
    name: str, stub: prediction_service_pb2_grpc.PredictionServiceStub
) -> None:
    case = CASES[name]
    if "refused" in case:
        assert failure(stub.Predict, request_of(case))[0].name == case["refused"]
        return
    answer = outputs(stub.Predict(request_of(case), timeout=60.0))
    assert answer.keys() == case["outputs"].keys()
    for key, tensor in case["outputs"].items():
        expected = array(tensor)
        assert (answer[key].dtype, answer[key].shape) == (expected.dtype, expected.shape)
        assert answer[key].tolist() == expected.tolist()


def _value(tensors: Mapping[str, Mapping[str, Any]]) -> Any:
    """Columns as TensorFlow Serving's REST API has them: a single tensor is bare."""
    values = {name: tensor["data"] for name, tensor in tensors.items()}
    return next(iter(values.values())) if len(values) == 1 else values


@pytest.mark.parametrize("name", CASES)
def test_rest_columns_get_the_tables_answer(name: str, kinds: RunningGateway) -> None:
    case = CASES[name]
    body = {"inputs": {key: tensor["data"] for key, tensor in case["inputs"].items()}}
    response = kinds.rest.post(f"/v1/models/{case['model']}:predict", json=body)
    if "refused" in case:
        assert (response.status_code, list(response.json())) == (400, ["error"])
    else:
        assert (response.status_code, response.json()) == (200, {"outputs": _value(case["outputs"])})


@pytest.mark.parametrize("name", [name for name in ANSWERED if CASES[name]["model"] in {"mixed", "words", "liking"}])
def test_rest_rows_get_the_tables_answer(name: str, kinds: RunningGateway) -> None:
    case = CASES[name]
    columns = {key: tensor["data"] for key, tensor in case["inputs"].items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    answers = {key: tensor["data"] for key, tensor in case["outputs"].items()}
    expected = [dict(zip(answers, row, strict=True)) for row in zip(*answers.values(), strict=True)]
    if len(answers) == 1:
        expected = [next(iter(row.values())) for row in expected]
    response = kinds.rest.post(f"/v1/models/{case['model']}:predict", json={"instances": rows})
    assert (response.status_code, response.json()) == (200, {"predictions": expected})


@pytest.mark.parametrize("model", ["counted", "halved", "total"])
def test_rest_rows_of_what_has_no_rows_are_refused(model: str, kinds: RunningGateway) -> None:
    row = {"counted": [1, 2], "halved": 3.0, "total": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}[model]
    response = kinds.rest.post(f"/v1/models/{model}:predict", json={"instances": [row]})
    assert (response.status_code, list(response.json())) == (400, ["error"]), response.text


@pytest.mark.parametrize("name", ANSWERED)
def test_the_open_inference_protocol_gets_the_tables_answer(name: str, kinds: RunningGateway) -> None:
    case = CASES[name]
    tensors = [
        {"name": key, "datatype": DTYPES[tensor["dtype"]].oip, "shape": list(array(tensor).shape), "data": flat(tensor)}
        for key, tensor in case["inputs"].items()
    ]
    response = kinds.rest.post(f"/v2/models/{case['model']}/infer", json={"inputs": tensors})
    assert response.status_code == 200, response.text
    found = {one["name"]: (one["datatype"], one["shape"], one["data"]) for one in response.json()["outputs"]}
    assert found == {
        key: (DTYPES[tensor["dtype"]].oip, list(array(tensor).shape), flat(tensor))
        for key, tensor in case["outputs"].items()
    }


def flat(tensor: Mapping[str, Any]) -> list[Any]:
    values = np.array(tensor["data"], dtype=object if tensor["dtype"] == "string" else None).ravel().tolist()
    return list(values)


@pytest.mark.parametrize("model", MODELS)
def test_metadata_names_the_tensors_alike(model: str, stub: prediction_service_pb2_grpc.PredictionServiceStub) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = model
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=60.0).metadata["signature_def"].Unpack(signatures)
    entry = signatures.signature_def["serving_default"]
    case = next(case for case in CASES.values() if case["model"] == model and "outputs" in case)
    for infos, tensors in ((entry.inputs, case["inputs"]), (entry.outputs, case["outputs"])):
        assert {name: info.dtype for name, info in infos.items()} == {
            name: DTYPES[tensor["dtype"]].tensorflow for name, tensor in tensors.items()
        }
        assert {name: len(info.tensor_shape.dim) for name, info in infos.items()} == {
            name: array(tensor).ndim for name, tensor in tensors.items()
        }


async def test_requests_that_run_alone_do_not_mix(kinds: RunningGateway) -> None:
    async with grpc.aio.insecure_channel(kinds.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        async def ask(number: int) -> None:
            answer = outputs(await stub.Predict(predict_request("halved", x=np.float32(number)), timeout=60.0))
            assert answer["y"] == np.float32(number / 2)

        await asyncio.gather(*map(ask, range(50)))
