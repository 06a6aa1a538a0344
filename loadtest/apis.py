"""The ways to ask for a prediction: what a request is made of, and what its answer says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
from google.protobuf.message import DecodeError

from loadtest.errors import TargetError
from loadtest.images import Images
from loadtest.target import Target
from serving.errors import InvalidInputError
from serving.signatures import TensorSpec, format_shape
from serving.wire.atelier_oip_pb2 import ModelInferRequest, ModelInferResponse
from serving.wire.atelier_tfs_pb2 import PredictRequest, PredictResponse
from serving.wire.tensors import decode_tensor, encode_content

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_IMAGE_BYTES = "image_bytes"
_STRING = TensorSpec(_IMAGE_BYTES, "string", (None,))
_ALL_CLASSES = 100_000
_SHOWN_BYTES = 200
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 1e-2
"""How far the probabilities of one image may be from one in sum; float16 has three digits."""


class WrongAnswerError(Exception):
    """An answer came, but not the one that fits; the text says how."""


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent: its body, and what its answer is held against."""

    api: Api
    body: bytes
    rows: int
    labels: np.ndarray | None

    def check(self, target: Target, answer: bytes) -> int:
        """How many of the images were classified as their labels say; 0 without labels.

        Raises:
            WrongAnswerError: another shape, no numbers, or probabilities that do not sum to one.
        """
        scores = self.api.decode(target, answer)
        _check_scores(target, scores, self.rows)
        if self.labels is None:
            return 0
        single = scores.ndim == 1 or scores.shape[1] == 1
        said = (scores.reshape(-1) > 0.5) if single else scores.argmax(axis=1)
        return int((said == self.labels).sum())


@dataclass(frozen=True)
class Api:
    """One way to ask. `address` is a REST path or a gRPC method."""

    name: str
    protocol: Literal["grpc", "rest"]
    address: Callable[[Target], str]
    encode: Callable[[Target, np.ndarray, tuple[bytes, ...]], bytes]
    decode: Callable[[Target, bytes], np.ndarray]
    asks_with: Literal["pixels", "files"] = "pixels"
    content_type: str = "application/json"


def make_requests(api: Api, target: Target, images: Images, rows: int, count: int) -> list[Request]:
    """`count` requests of `rows` images each, which go round through all images.

    Raises:
        TargetError: the model takes no image files, or there are none.
    """
    if api.asks_with == "files" and not (target.takes_images and images.files):
        raise TargetError(f"{api.name}: expected a model that takes image files, which {target.model} does not")
    total = len(images.pixels)
    requests = []
    for number in range(count):
        chosen = np.arange(number * rows, (number + 1) * rows) % total
        files = tuple(images.files[index] for index in chosen) if images.files and api.asks_with == "files" else ()
        body = api.encode(target, images.pixels[chosen], files)
        requests.append(Request(api, body, rows, None if images.labels is None else images.labels[chosen]))
    return requests


def _check_scores(target: Target, scores: np.ndarray, rows: int) -> None:
    if scores.shape[:1] != (rows,) or not target.output.accepts(scores.shape):
        expected = format_shape((rows, *target.output.shape[1:]))
        raise WrongAnswerError(f"expected scores of shape {expected}, received {format_shape(scores.shape)}")
    if not np.isfinite(scores).all():
        raise WrongAnswerError("expected finite numbers, received NaN or infinity")
    if not target.is_classifier:
        return
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1 + _TOLERANCE:
        raise WrongAnswerError("expected probabilities from 0 to 1, received others")
    if scores.ndim == 2 and scores.shape[1] > 1:
        tolerance = _HALF_TOLERANCE if target.output.dtype == "float16" else _TOLERANCE
        sums = scores.sum(axis=1, dtype=np.float64)
        if (np.abs(sums - 1) > tolerance).any():
            worst = sums[np.abs(sums - 1).argmax()]
            raise WrongAnswerError(f"expected probabilities that sum to one, received a sum of {worst:.4g}")


def _path(verb: str) -> Callable[[Target], str]:
    return lambda target: f"/v1/models/{quote(target.model, safe='')}:{verb}"


def _method(name: str) -> Callable[[Target], str]:
    return lambda _: name


def _encode_rest_predict(_: Target, pixels: np.ndarray, __: tuple[bytes, ...]) -> bytes:
    return json.dumps({"instances": pixels.tolist()}, separators=(",", ":")).encode()


def _decode_rest_predict(target: Target, answer: bytes) -> np.ndarray:
    def scores(document: Any) -> Any:
        rows = document["predictions"]
        return rows if target.outputs == 1 else [row[target.output.name] for row in rows]

    return _numbers(answer, scores, "predictions in rows of numbers")


def _encode_rest_image(_: Target, __: np.ndarray, files: tuple[bytes, ...]) -> bytes:
    if len(files) == 1:
        return files[0]
    return json.dumps({"images": [{"b64": base64.b64encode(file).decode()} for file in files]}).encode()


def _decode_rest_image(_: Target, answer: bytes) -> np.ndarray:
    def scores(document: Any) -> Any:
        images = [document] if "classes" in document else document["images"]
        return [
            [one["probability"] for one in sorted(image["classes"], key=lambda one: one["index"])] for image in images
        ]

    return _numbers(answer, scores, "classes with probabilities")


def _encode_rest_oip(target: Target, pixels: np.ndarray, _: tuple[bytes, ...]) -> bytes:
    spec = target.input
    tensor = {
        "name": spec.name,
        "datatype": spec.element.oip,
        "shape": list(pixels.shape),
        "data": pixels.ravel().tolist(),
    }
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def _decode_rest_oip(target: Target, answer: bytes) -> np.ndarray:
    def scores(document: Any) -> Any:
        tensor = next(one for one in document["outputs"] if one["name"] == target.output.name)
        return np.asarray(tensor["data"], np.float64).reshape(tensor["shape"])

    return _numbers(answer, scores, f"an output {target.output.name}")


def _encode_grpc_predict(target: Target, pixels: np.ndarray, _: tuple[bytes, ...]) -> bytes:
    request = PredictRequest()
    request.model_spec.name = target.model
    encode_content(request.inputs[target.input.name], pixels, target.input.element)
    return request.SerializeToString()


def _encode_grpc_image(target: Target, _: np.ndarray, files: tuple[bytes, ...]) -> bytes:
    request = PredictRequest()
    request.model_spec.name = target.model
    request.model_spec.signature_name = _IMAGE_BYTES
    tensor = request.inputs[_IMAGE_BYTES]
    tensor.dtype = _STRING.element.tensorflow  # type: ignore[assignment]  # a number is what protobuf takes
    tensor.tensor_shape.dim.add().size = len(files)
    tensor.string_val.extend(files)
    return request.SerializeToString()


def _decode_grpc_predict(target: Target, answer: bytes) -> np.ndarray:
    try:
        outputs = PredictResponse.FromString(answer).outputs
        if target.output.name not in outputs:
            raise WrongAnswerError(
                f"expected output {target.output.name}, received {', '.join(sorted(outputs)) or 'none'}"
            )
        return decode_tensor(outputs[target.output.name], target.output, max_bytes=_MAX_ANSWER_BYTES)
    except (DecodeError, InvalidInputError) as error:
        raise WrongAnswerError(f"expected a PredictResponse with scores, received another: {error}") from error


def _encode_grpc_oip(target: Target, pixels: np.ndarray, _: tuple[bytes, ...]) -> bytes:
    request = ModelInferRequest(model_name=target.model)
    request.inputs.add(name=target.input.name, datatype=target.input.element.oip, shape=pixels.shape)
    request.raw_input_contents.append(pixels.tobytes())
    return request.SerializeToString()


def _decode_grpc_oip(target: Target, answer: bytes) -> np.ndarray:
    try:
        response = ModelInferResponse.FromString(answer)
        names = [output.name for output in response.outputs]
        index = names.index(target.output.name)
        scores = np.frombuffer(response.raw_output_contents[index], target.output.element.numpy)
        return scores.reshape(tuple(response.outputs[index].shape))
    except (DecodeError, ValueError, IndexError) as error:
        raise WrongAnswerError(f"expected a ModelInferResponse with scores, received another: {error}") from error


def _numbers(answer: bytes, scores: Callable[[Any], Any], expected: str) -> np.ndarray:
    try:
        return np.asarray(scores(json.loads(answer)), np.float64)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise WrongAnswerError(f"expected {expected}, received {answer[:_SHOWN_BYTES]!r}") from error


_PREDICT = _method("/tensorflow.serving.PredictionService/Predict")
_MODEL_INFER = _method("/inference.GRPCInferenceService/ModelInfer")
_LIST = (
    Api("grpc-predict", "grpc", _PREDICT, _encode_grpc_predict, _decode_grpc_predict),
    Api("grpc-image", "grpc", _PREDICT, _encode_grpc_image, _decode_grpc_predict, asks_with="files"),
    Api("grpc-oip", "grpc", _MODEL_INFER, _encode_grpc_oip, _decode_grpc_oip),
    Api("rest-predict", "rest", _path("predict"), _encode_rest_predict, _decode_rest_predict),
    Api(
        "rest-image",
        "rest",
        _path(f"classify?top_k={_ALL_CLASSES}"),
        _encode_rest_image,
        _decode_rest_image,
        asks_with="files",
        content_type="application/octet-stream",
    ),
    Api(
        "rest-oip",
        "rest",
        lambda target: f"/v2/models/{quote(target.model, safe='')}/infer",
        _encode_rest_oip,
        _decode_rest_oip,
    ),
)
APIS: Mapping[str, Api] = MappingProxyType({api.name: api for api in _LIST})
API_NAMES = tuple(APIS)
