"""Good requests of every kind, for fuzzers to spoil."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnx import TensorProto

from serving.signatures import DTYPES
from serving.wire import atelier_health_pb2 as health
from serving.wire import atelier_oip_pb2 as oip
from serving.wire import atelier_reflection_pb2 as reflection
from serving.wire import atelier_tfs_pb2 as tfs
from serving.wire.examples import encode_feature
from serving.wire.grpc_framing import encode_message
from serving.wire.oip_tensors import encode_contents, encode_raw
from serving.wire.services import SERVICES
from serving.wire.tensors import encode_content, encode_tensor
from tests.support.bundles import write_bundle, write_regression
from tests.support.image_files import file_of, gradient
from tests.support.onnx_models import write_identity_model, write_two_input_model

ECHOES = {"float32": TensorProto.FLOAT, "bfloat16": TensorProto.BFLOAT16, "int64": TensorProto.INT64}
NOT_FUZZED = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
"""Its good requests take the models away that all others ask."""
GRPC_PATHS = tuple(
    path
    for service, methods in SERVICES.items()
    for path in (f"/{service}/{method}" for method in methods)
    if path != NOT_FUZZED
)
_INFER = "/inference.GRPCInferenceService/ModelInfer"


class Request(NamedTuple):
    """One request as HTTP has it; a gRPC call's body is framed."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"


def write_models(models: Path) -> None:
    """`brightness` (a classifier with all signatures), `line` (a regression), `pair`, `text`, and some echoes."""
    write_bundle(models / "brightness" / "4", scale=1 / 255)
    write_regression(models / "line" / "1")
    write_two_input_model(models / "pair" / "1")
    write_identity_model(models / "text" / "1", TensorProto.STRING, ["N"])
    for name, number in ECHOES.items():
        write_identity_model(models / f"echo_{name}" / "1", number, ["N", 2])


def grpc_messages() -> Iterator[tuple[str, bytes]]:
    """Paths with serialized messages that are answered well."""
    yield from _predictions()
    yield from _examples()
    yield from _inferences()
    spec = tfs.GetModelMetadataRequest(metadata_field=["signature_def"])
    spec.model_spec.name = "brightness"
    yield "/tensorflow.serving.PredictionService/GetModelMetadata", spec.SerializeToString()
    status = tfs.GetModelStatusRequest()
    status.model_spec.name = "brightness"
    yield "/tensorflow.serving.ModelService/GetModelStatus", status.SerializeToString()
    model = oip.ModelRequest(name="brightness", version="4").SerializeToString()
    for method in ("ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"):
        yield f"/inference.GRPCInferenceService/{method}", model
    index = oip.RepositoryIndexRequest(ready=True).SerializeToString()
    yield "/inference.GRPCInferenceService/RepositoryIndex", index
    yield "/grpc.health.v1.Health/Check", health.HealthCheckRequest(service="brightness").SerializeToString()
    symbol = reflection.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService")
    yield "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", symbol.SerializeToString()


def grpc_requests() -> Iterator[Request]:
    """The same as bodies, some of them compressed."""
    for path, message in grpc_messages():
        yield Request(path, encode_message(message))
    path, message = next(grpc_messages())
    yield Request(path, encode_message(message, "gzip"), (("grpc-encoding", "gzip"),))


def rest_requests() -> Iterator[Request]:
    """Good requests of TensorFlow Serving's REST API, of the Open Inference Protocol's, and of images."""
    pixels = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    for body in ({"instances": pixels}, {"inputs": {"pixels": pixels}}, {"instances": [{"pixels": pixels[0]}]}):
        yield _json("/v1/models/brightness:predict", body)
    yield _json("/v1/models/pair/versions/1:predict", {"instances": [{"a": 1.5, "b": 2}, {"a": -1e3, "b": 0.25}]})
    yield _json("/v1/models/text:predict", {"instances": ["ü", {"b64": "AAEC"}], "signature_name": "serving_default"})
    yield Request("/v1/models/echo_float32:predict", b'{"inputs":[[NaN,-Infinity],[1e38,0.1]]}')
    examples = {
        "signature_name": "classify",
        "context": {"pixels": [1, 2, 3, 4]},
        "examples": [{}, {"pixels": [1] * 4}],
    }
    yield _json("/v1/models/brightness:classify", examples)
    yield _json("/v1/models/line:regress", {"signature_name": "regress", "examples": [{"features": 0.5}]})
    yield Request(
        "/v1/models/brightness:classify?top_k=2", file_of(gradient(), "PNG"), (("content-type", "image/png"),)
    )
    yield Request("/v1/models/brightness:classify", file_of(gradient(), "GIF"))
    yield _json("/v1/models/brightness:classify", {"images": [{"b64": "iVBORw0KGgo="}]})
    form = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n%b\r\n--x--\r\n'
    multipart = (("content-type", "multipart/form-data; boundary=x"),)
    yield Request("/v1/models/brightness:classify", form % file_of(gradient(), "PNG"), multipart)
    flat = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2.5]}
    outputs = [{"name": "y", "parameters": {"classification": 1, "binary_data": True}}]
    yield _json("/v2/models/echo_float32/infer", {"id": "7", "inputs": [flat], "outputs": outputs})
    header = json.dumps(
        {
            "inputs": [{**flat, "data": None, "parameters": {"binary_data_size": 8}}],
            "parameters": {"binary_data_output": True, "timeout": 1_000_000},
        }
    ).replace('"data": null, ', "")
    length = (("inference-header-content-length", str(len(header))),)
    yield Request("/v2/models/echo_float32/infer", header.encode() + bytes(8), length)
    yield Request("/v2/models/brightness/infer", bytes(8), (("inference-header-content-length", "0"),))
    compressed = zlib.compress(json.dumps({"inputs": [flat]}).encode())
    yield Request("/v2/models/echo_float32/infer", compressed, (("content-encoding", "deflate"),))
    yield _json("/v2/repository/index", {"ready": True})
    for path in ("/v1/models/brightness", "/v1/models/brightness/metadata", "/v2/models/pair/config", "/healthz", "/"):
        yield Request(path, b"", method="GET")


def _json(path: str, document: object) -> Request:
    return Request(path, json.dumps(document).encode(), (("content-type", "application/json"),))


def _predictions() -> Iterator[tuple[str, bytes]]:
    arrays = {
        "brightness": {"pixels": np.arange(8, dtype=np.uint8).reshape(2, 2, 2)},
        "pair": {"a": np.float32([1, 2]), "b": np.float32([3, 4])},
        "text": {"x": np.array(["ü".encode(), b"\0"], object)},
        **{f"echo_{name}": {"x": np.ones((1, 2), DTYPES[name].numpy)} for name in ECHOES},
    }
    for encode in (encode_content, encode_tensor):
        for model, inputs in arrays.items():
            request = tfs.PredictRequest()
            request.model_spec.name = model
            for name, array in inputs.items():
                dtype = DTYPES["string" if array.dtype == object else array.dtype.name]
                (encode_tensor if dtype.is_string else encode)(request.inputs[name], array, dtype)
            yield "/tensorflow.serving.PredictionService/Predict", request.SerializeToString()


def _examples() -> Iterator[tuple[str, bytes]]:
    example = tfs.Example()
    encode_feature(example.features.feature["pixels"], np.int64([1, 2, 3, 4]))
    request = tfs.ExamplesRequest()
    request.model_spec.name, request.model_spec.signature_name = "brightness", "classify"
    request.input.example_list.examples.append(example.SerializeToString())
    yield "/tensorflow.serving.PredictionService/Classify", request.SerializeToString()
    several = tfs.MultiInferenceRequest(input=request.input)
    task = several.tasks.add(method_name="tensorflow/serving/classify")
    task.model_spec.CopyFrom(request.model_spec)
    yield "/tensorflow.serving.PredictionService/MultiInference", several.SerializeToString()
    example = tfs.Example()
    encode_feature(example.features.feature["features"], np.float32([0.5]))
    request = tfs.ExamplesRequest()
    request.model_spec.name, request.model_spec.signature_name = "line", "regress"
    request.input.example_list_with_context.context = example.SerializeToString()
    request.input.example_list_with_context.examples.append(b"")
    yield "/tensorflow.serving.PredictionService/Regress", request.SerializeToString()


def _inferences() -> Iterator[tuple[str, bytes]]:
    for raw in (True, False):
        array = np.float32([[1, 2]])
        request = oip.ModelInferRequest(model_name="echo_float32", model_version="1", id="7")
        tensor = request.inputs.add(name="x", datatype="FP32", shape=array.shape)
        request.outputs.add(name="y").parameters["classification"].int64_param = 1
        request.parameters["timeout"].int64_param = 1_000_000
        if raw:
            request.raw_input_contents.append(encode_raw(array))
        else:
            encode_contents(tensor.contents, array, DTYPES["float32"])
        yield _INFER, request.SerializeToString()
        yield "/inference.GRPCInferenceService/ModelStreamInfer", request.SerializeToString()
    strings = np.array([b"a", b"bc"], object)
    request = oip.ModelInferRequest(model_name="text", raw_input_contents=[encode_raw(strings)])
    request.inputs.add(name="x", datatype="BYTES", shape=[2])
    yield _INFER, request.SerializeToString()
