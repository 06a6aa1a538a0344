"""The official TensorFlow Serving client, as its users write it."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2


def predict_request(
    model: str, signature: str = "", version: int | None = None, label: str | None = None, **inputs: Any
) -> predict_pb2.PredictRequest:
    """A `PredictRequest`; arrays travel as `tf.make_tensor_proto` sends them, TensorProtos as they are."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    for name, value in inputs.items():
        is_proto = hasattr(value, "tensor_shape")
        request.inputs[name].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
    return request


def outputs(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    """The response's tensors as arrays."""
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def failure(call: grpc.UnaryUnaryMultiCallable, request: Any) -> tuple[grpc.StatusCode, str]:
    """Code and text of a call that must fail."""
    try:
        answer = call(request, timeout=60.0)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(f"the call was answered: {answer}")
