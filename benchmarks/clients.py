"""Real clients, for checking answers: the official gRPC clients of TensorFlow Serving and of Triton, and HTTP's."""

from __future__ import annotations

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import httpx
import numpy as np
import tensorflow as tf
import tritonclient.grpc as triton
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from benchmarks.model import Model

TOLERANCE = 1e-5
GRPC_PATH = "/tensorflow.serving.PredictionService/Predict"
OIP_PATH = "/inference.GRPCInferenceService/ModelInfer"
_TIMEOUT_S = 30.0


class NoAnswerError(Exception):
    """Triton's client got no answer."""


class WrongAnswerError(Exception):
    """A server answered, but not what ONNX Runtime gives on the same input."""


def grpc_request(model: Model, inputs: np.ndarray) -> predict_pb2.PredictRequest:
    """The request as the official client library builds it (`tf.make_tensor_proto`)."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model.name
    request.inputs[model.input_name].CopyFrom(tf.make_tensor_proto(inputs))
    return request


def grpc_frame(message: bytes) -> bytes:
    """One gRPC message as it travels: an uncompressed flag, the length in four bytes, the message."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def rest_path(model: Model) -> str:
    """Path of TensorFlow Serving's REST predict."""
    return f"/v1/models/{model.name}:predict"


def rest_body(inputs: np.ndarray) -> bytes:
    """JSON rows."""
    return json.dumps({"instances": inputs.tolist()}, separators=(",", ":")).encode()


def oip_request(model: Model, inputs: np.ndarray) -> service_pb2.ModelInferRequest:
    """The request as Triton's client library builds it."""
    tensor = _triton_input(model, inputs)
    request = service_pb2.ModelInferRequest(model_name=model.name)
    request.inputs.add(name=model.input_name, datatype=tensor.datatype(), shape=tensor.shape())
    request.raw_input_contents.append(inputs.tobytes())
    return request


def _triton_input(model: Model, inputs: np.ndarray) -> triton.InferInput:
    tensor = triton.InferInput(model.input_name, list(inputs.shape), np_to_triton_dtype(inputs.dtype))
    tensor.set_data_from_numpy(inputs)
    return tensor


def check_grpc(address: str, model: Model, inputs: np.ndarray) -> None:
    """Asks over gRPC, and holds the answer against ONNX Runtime's own.

    Raises:
        WrongAnswerError: the scores differ by more than `TOLERANCE`.
        grpc.RpcError: no answer.
    """
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(grpc_request(model, inputs), timeout=_TIMEOUT_S, wait_for_ready=True)
    _compare(tf.make_ndarray(response.outputs[model.output_name]), model.expected(inputs))


def check_oip(address: str, model: Model, inputs: np.ndarray) -> None:
    """The same over the Open Inference Protocol's gRPC.

    Raises:
        WrongAnswerError: the scores differ by more than `TOLERANCE`.
        NoAnswerError: no answer.
    """
    try:
        with triton.InferenceServerClient(address) as client:
            answer = client.infer(model.name, [_triton_input(model, inputs)], client_timeout=_TIMEOUT_S)
    except InferenceServerException as error:
        raise NoAnswerError(str(error)) from error
    _compare(answer.as_numpy(model.output_name), model.expected(inputs))


def check_rest(address: str, model: Model, inputs: np.ndarray) -> None:
    """The same over REST.

    Raises:
        WrongAnswerError: the scores differ by more than `TOLERANCE`.
        httpx.HTTPError: no answer, or an error's status.
    """
    response = _post(f"http://{address}{rest_path(model)}", rest_body(inputs), "application/json")
    _compare(np.asarray(response.json()["predictions"], dtype=np.float32), model.expected(inputs))


def check_raw(url: str, model: Model, inputs: np.ndarray) -> None:
    """The same with bytes for arrays; raises as `check_rest`."""
    expected = model.expected(inputs)
    content = _post(url, inputs.tobytes(), "application/octet-stream").content
    if len(content) != expected.nbytes:
        raise WrongAnswerError(
            f"expected {expected.nbytes} bytes of scores, received {len(content)}: {content[:100]!r}"
        )
    _compare(np.frombuffer(content, np.float32).reshape(expected.shape), expected)


def check_json(url: str, body: bytes, model: Model, inputs: np.ndarray) -> None:
    """The same with an answer of scores alone, as JSON; raises as `check_rest`."""
    _compare(np.asarray(_post(url, body, "application/json").json(), np.float32), model.expected(inputs))


def check_image(url: str, file: bytes, content_type: str, best: int) -> None:
    """Sends an image file; raises as `check_rest`."""
    found = _post(url, file, content_type).json()["classes"][0]["index"]
    if found != best:
        raise WrongAnswerError(f"expected class {best} to be the best, received {found}")


def _post(url: str, body: bytes, content_type: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=_TIMEOUT_S) as client:
        response = client.post(url, content=body, headers={"content-type": content_type})
    return response.raise_for_status()


def _compare(received: np.ndarray, expected: np.ndarray) -> None:
    if received.shape != expected.shape:
        raise WrongAnswerError(f"expected scores of shape {expected.shape}, received {received.shape}")
    difference = float(np.abs(received - expected).max())
    if not difference <= TOLERANCE:
        raise WrongAnswerError(f"scores differ from ONNX Runtime's by {difference:.2g}, allowed {TOLERANCE:g}")
