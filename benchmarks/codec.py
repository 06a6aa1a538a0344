"""What a Predict request costs in Python to decode and to answer, beside TensorFlow's messages: `make bench-codec`.

Ours is the gateway's front end with a data plane that answers at once: bytes in, an array for the model, an array of
the model, bytes out. Theirs is the same by `tensorflow_serving.apis`, `tf.make_ndarray` and `tf.make_tensor_proto`.
CPU time of the thread, the median of the rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from serving.batching.terms import DEFAULT_TERMS
from serving.dataplane import DataPlane, Decode, Prediction, Target
from serving.frontends.tfs_grpc import TfsGrpc
from serving.offload.answer_writer import AnswerWriter
from serving.offload.helper_process import HelperProcess
from serving.offload.message_reader import MessageReader
from serving.signatures import DTYPES, Signature, TensorSpec
from serving.wire.atelier_tfs_pb2 import PredictRequest
from serving.wire.tensors import encode_content, encode_tensor

ROUNDS = 9
CALLS = 2000
_MAX_BYTES = 1 << 27
SCORES = TensorSpec("scores", "float32", (None, 10))


class InstantPlane:
    """A data plane without a model: it decodes the request and has its answer ready."""

    def __init__(self, signature: Signature, scores: np.ndarray) -> None:
        self._signature = signature
        self._prediction = Prediction("model", 1, "serving_default", signature, {SCORES.name: scores})

    async def predict(self, target: Target, decode: Decode, **_: Any) -> Prediction:  # noqa: ARG002 -- as DataPlane.predict
        """Answers the same scores to everybody."""
        decode(self._signature)
        return self._prediction


def request_of(pixels: np.ndarray, *, content: bool) -> bytes:
    """A PredictRequest with the pixels as `tensor_content`, or in the `*_val` field of their dtype."""
    request = PredictRequest()
    request.model_spec.name = "model"
    encode = encode_content if content else encode_tensor
    encode(request.inputs["pixels"], pixels, DTYPES[pixels.dtype.name])
    return request.SerializeToString()


def ours(pixels: np.ndarray, scores: np.ndarray) -> Callable[[bytes], bytes]:
    """The gateway's way from a request's bytes to its answer's."""
    signature = Signature((TensorSpec("pixels", pixels.dtype.name, (None, *pixels.shape[1:])),), (SCORES,))
    plane = cast("DataPlane", InstantPlane(signature, scores))
    helper = cast("HelperProcess", None)
    nothing: Any = None
    front_end = TfsGrpc(plane, nothing, nothing, nothing, MessageReader(helper), AnswerWriter(helper), _MAX_BYTES)

    def answer(message: bytes) -> bytes:
        try:
            front_end.predict(message, DEFAULT_TERMS).send(None)  # it never waits, so one step ends it
        except StopIteration as ended:
            return cast("bytes", ended.value)
        raise AssertionError("the front end waited")

    return answer


def theirs(scores: np.ndarray) -> Callable[[bytes], bytes]:
    """The same by the official messages."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    def answer(message: bytes) -> bytes:
        request = predict_pb2.PredictRequest.FromString(message)
        tf.make_ndarray(request.inputs["pixels"])
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = 1
        response.model_spec.signature_name = "serving_default"
        response.outputs["scores"].CopyFrom(tf.make_tensor_proto(scores))
        return cast("bytes", response.SerializeToString())

    return answer


def measure_us(answer: Callable[[bytes], bytes], message: bytes, *, rounds: int, calls: int) -> float:
    """CPU microseconds of one call, the median of the rounds."""
    answer(message)
    costs = []
    for _ in range(rounds):
        started_at = time.thread_time()
        for _ in range(calls):
            answer(message)
        costs.append((time.thread_time() - started_at) / calls * 1e6)
    return statistics.median(costs)


def measure(*, rounds: int = ROUNDS, calls: int = CALLS) -> Mapping[str, tuple[float, float]]:
    """Ours and theirs in microseconds a request, by the request's rows, dtype and encoding."""
    found = {}
    for rows in (1, 32):
        scores = np.random.default_rng(0).random((rows, 10), np.float32)
        their_answer = theirs(scores)
        for dtype, content in (("uint8", True), ("uint8", False), ("float32", True), ("float32", False)):
            pixels = (np.arange(rows * 784) % 256).reshape(rows, 28, 28).astype(dtype)
            message, our_answer = request_of(pixels, content=content), ours(pixels, scores)
            found[f"{rows} × 28×28 {dtype} {'tensor_content' if content else '*_val'}"] = (
                measure_us(our_answer, message, rounds=rounds, calls=max(1, calls // rows)),
                measure_us(their_answer, message, rounds=rounds, calls=max(1, calls // rows)),
            )
    return found


def main() -> None:
    """Prints the table."""
    print(f"{'a request, decoded and answered':40} {'ours':>10} {'official':>10}")
    for name, (our_us, their_us) in measure().items():
        print(f"{name:40} {our_us:7.1f} µs {their_us:7.1f} µs")


if __name__ == "__main__":
    main()
