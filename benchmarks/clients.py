"""Real clients, for checking answers: TensorFlow Serving's official gRPC client, and JSON rows over HTTP."""

from __future__ import annotations

import json
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import httpx
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.model import Model

TOLERANCE = 1e-5
GRPC_PATH = "/tensorflow.serving.PredictionService/Predict"
_TIMEOUT_S = 10.0


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


def check_grpc(port: int, model: Model, rows: int) -> None:
    """Asks over gRPC, and holds the answer against ONNX Runtime's own.

    Raises:
        WrongAnswerError: the scores differ by more than `TOLERANCE`.
        grpc.RpcError: no answer.
    """
    inputs = model.inputs(rows)
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(grpc_request(model, inputs), timeout=_TIMEOUT_S, wait_for_ready=True)
    _compare(tf.make_ndarray(response.outputs[model.output_name]), model.expected(inputs))


def check_rest(port: int, model: Model, rows: int) -> None:
    """Asks over REST, and holds the answer against ONNX Runtime's own.

    Raises:
        WrongAnswerError: the scores differ by more than `TOLERANCE`.
        httpx.HTTPError: no answer, or an error's status.
    """
    inputs = model.inputs(rows)
    with httpx.Client(trust_env=False, timeout=_TIMEOUT_S) as client:
        response = client.post(
            f"http://127.0.0.1:{port}{rest_path(model)}",
            content=rest_body(inputs),
            headers={"content-type": "application/json"},
        )
    response.raise_for_status()
    predictions: Any = response.json()["predictions"]
    _compare(np.asarray(predictions, dtype=np.float32), model.expected(inputs))


def _compare(received: np.ndarray, expected: np.ndarray) -> None:
    if received.shape != expected.shape:
        raise WrongAnswerError(f"expected scores of shape {expected.shape}, received {received.shape}")
    difference = float(np.abs(received - expected).max())
    if not difference <= TOLERANCE:
        raise WrongAnswerError(f"scores differ from ONNX Runtime's by {difference:.2g}, allowed {TOLERANCE:g}")
