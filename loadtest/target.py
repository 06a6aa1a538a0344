"""What is asked under load: a served model, found out from the gateway itself, and requests that fit it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from google.protobuf.message import DecodeError

from serving.errors import InvalidInputError
from serving.signatures import DEFAULT_SIGNATURE, DTYPES, TensorSpec
from serving.wire.atelier_tfs_pb2 import PredictRequest, PredictResponse
from serving.wire.tensors import decode_tensor, encode_content

_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_TENSORFLOW_NAMES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}


class TargetError(Exception):
    """The model cannot be load-tested; the text says why, in one sentence."""


@dataclass(frozen=True)
class Target:
    """A model's `serving_default` with one input and one output, both with a batch dimension."""

    model: str
    input: TensorSpec
    output: TensorSpec

    def rows(self, count: int, seed: int) -> np.ndarray:
        """Random pixels, or numbers from 0 to 1, of the input's dtype: `[count, …]`."""
        shape = (count, *(size or 1 for size in self.input.shape[1:]))
        generator = np.random.default_rng(seed)
        if self.input.element.kind == "f":
            return generator.random(shape).astype(self.input.element.numpy)
        return generator.integers(0, 256, shape).astype(self.input.element.numpy)

    def grpc_request(self, rows: np.ndarray) -> bytes:
        """A serialized `PredictRequest`."""
        request = PredictRequest()
        request.model_spec.name = self.model
        encode_content(request.inputs[self.input.name], rows, self.input.element)
        return request.SerializeToString()

    def rest_request(self, rows: np.ndarray) -> str:
        """A `:predict` body with rows."""
        return json.dumps({"instances": rows.tolist()})

    def check_grpc(self, answer: bytes, rows: int) -> str | None:
        """What is wrong with a serialized `PredictResponse` for `rows` rows, or None."""
        try:
            outputs = PredictResponse.FromString(answer).outputs
            if self.output.name not in outputs:
                return f"expected output {self.output.name}, received {', '.join(outputs) or 'none'}"
            scores = decode_tensor(outputs[self.output.name], self.output, max_bytes=_MAX_ANSWER_BYTES)
        except (DecodeError, InvalidInputError) as error:
            return f"expected a PredictResponse with scores, received another: {error}"
        return self._check(scores, rows)

    def check_rest(self, answer: bytes, rows: int) -> str | None:
        """What is wrong with the body of a `:predict` answer for `rows` rows, or None."""
        try:
            scores = np.asarray(json.loads(answer)["predictions"], np.float64)
        except (ValueError, KeyError, TypeError):
            return f"expected predictions in rows of numbers, received {answer[:200]!r}"
        return self._check(scores, rows)

    def _check(self, scores: np.ndarray, rows: int) -> str | None:
        if scores.shape[:1] != (rows,) or not self.output.accepts(scores.shape):
            return f"expected {rows} rows of shape {self.output.shape[1:]}, received {scores.shape}"
        if not np.isfinite(scores).all():
            return "expected finite numbers, received NaN or infinity"
        return None


def find_target(rest_url: str, model: str) -> Target:
    """Asks the gateway for the model's signature.

    Raises:
        TargetError: nothing answers, no such model, or a signature that this test has no requests for.
    """
    url = f"{rest_url.rstrip('/')}/v1/models/{quote(model, safe='')}/metadata"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 -- the user's own address
            signatures = json.load(response)["metadata"]["signature_def"]["signature_def"]
        signature = signatures.get(DEFAULT_SIGNATURE, {"inputs": {}, "outputs": {}})
        inputs, outputs = ([_spec(*tensor) for tensor in signature[kind].items()] for kind in ("inputs", "outputs"))
    except urllib.error.HTTPError as error:
        raise TargetError(f"{url} answers {error.code}: {error.read(300).decode('utf-8', 'replace')}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TargetError(f"no model server answers at {url}: {error}") from error
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].element.is_string:
        raise TargetError(f"model {model}: expected one numeric input and one output, received {inputs} and {outputs}")
    return Target(model, inputs[0], outputs[0])


def _spec(name: str, info: dict[str, Any]) -> TensorSpec:
    dtype = _TENSORFLOW_NAMES.get(info["dtype"], info["dtype"].removeprefix("DT_").lower())
    if dtype not in DTYPES:
        raise TargetError(f"{name}: no requests can be made of dtype {info['dtype']}")
    sizes = [int(dim["size"]) for dim in info["tensor_shape"]["dim"]]
    return TensorSpec(name, dtype, tuple(None if size < 0 else size for size in sizes))
