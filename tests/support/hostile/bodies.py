"""Bodies that are small to send and large to read; what takes long to make is kept for the attack's next round."""

from __future__ import annotations

import gzip
import json
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, lru_cache

import numpy as np

from serving.signatures import DTYPES
from serving.wire.atelier_oip_pb2 import ModelInferRequest
from serving.wire.atelier_tfs_pb2 import PredictRequest
from serving.wire.tensors import encode_content, encode_tensor
from tests.support.hostile import http2
from tests.support.hostile.raw import Address, ask, post

_INFER = "/inference.GRPCInferenceService/ModelInfer"
BRIGHTNESS = "/v1/models/brightness:predict"
_FULL = 16 * 1024 * 1024 - 100
"""As many bytes as JSON may have."""


def _instances(value: bytes, count: int) -> bytes:
    return b'{"instances":[' + b",".join([value] * count) + b"]}"


def _as_many(value: bytes) -> int:
    return _FULL // (len(value) + 1)


def _deep(depth: int) -> bytes:
    return b'{"instances":' + b"[" * depth + b"]" * depth + b"}"


def _ragged(count: int) -> bytes:
    rows = [[1] * (row % 7 + 1) for row in range(count // 4)]
    return json.dumps({"instances": rows}).encode()


REQUESTS: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "lists a million deep": (lambda: post(BRIGHTNESS, _deep(1_000_000)), "400"),
    "a ragged array of a million numbers": (lambda: post(BRIGHTNESS, _ragged(1_000_000)), "400"),
    "16 MiB of empty lists": (lambda: post(BRIGHTNESS, _instances(b"[]", _as_many(b"[]"))), "413"),
    "16 MiB of empty lists behind NaN": (
        lambda: post(BRIGHTNESS, _instances(b"[]", _as_many(b"[]") - 2).replace(b"[[]", b"[NaN", 1)),
        "413",
    ),
    "16 MiB of empty objects": (lambda: post(BRIGHTNESS, _instances(b"{}", _as_many(b"{}"))), "413"),
    "16 MiB of numbers": (lambda: post(BRIGHTNESS, _instances(b"0", _as_many(b"0"))), "400"),
    "a number of 16 million digits": (lambda: post(BRIGHTNESS, _instances(b"1" * _FULL, 1)[:-20] + b"]}"), "400"),
    "16 MiB of strings": (lambda: post("/v1/models/text:predict", _instances(b'"a"', _as_many(b'"a"'))), "400"),
    "16 MiB of base64 objects": (
        lambda: post("/v1/models/text:predict", _instances(b'{"b64":""}', _as_many(b'{"b64":""}'))),
        "413",
    ),
    "16 MiB of examples": (
        lambda: post(
            "/v1/models/brightness:classify",
            _instances(b'{"pixels":1}', _as_many(b'{"pixels":1}')).replace(b"instances", b"examples", 1),
        ),
        "413",
    ),
    "a gzip bomb of half a gigabyte": (lambda: post(BRIGHTNESS, _bomb(), "content-encoding: gzip"), "413"),
    "a tensor of 2^60 values in its shape": (
        lambda: post(
            "/v2/models/brightness/infer",
            b'{"inputs":[{"name":"pixels","datatype":"UINT8","shape":[1152921504606846976,2,2],"data":[1]}]}',
        ),
        "400",
    ),
}


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(500_000_000))


@lru_cache(maxsize=1)
def _made(make: Callable[[], bytes]) -> bytes:
    return make()


def send_body(name: str) -> Callable[[Address, int], Counter[str]]:
    """Sends the request of that name so many times, one after the other; counts the statuses."""

    def attack(address: Address, count: int) -> Counter[str]:
        request = _made(REQUESTS[name][0])
        return Counter(" ".join(ask(address, request)) for _ in range(count))

    return attack


def one_value_for_all(address: Address, count: int) -> Counter[str]:
    """gRPC tensors whose one value stands for 120 million, in messages of 50 bytes."""
    request = _pixels(30_000_000)
    request.inputs["pixels"].int_val.append(7)
    return _call_each(address, request.SerializeToString(), count)


def many_sizes(address: Address, count: int) -> Counter[str]:
    """gRPC tensors of 10,000 sizes, whose product has a hundred thousand digits and more."""
    request = _pixels(2**62)
    for _ in range(10_000):
        request.inputs["pixels"].tensor_shape.dim.add(size=2**62)
    return _call_each(address, request.SerializeToString(), count)


def many_inputs(address: Address, count: int) -> Counter[str]:
    """gRPC messages of 400,000 inputs, compressed so that they fit into what a stream may send at once."""
    return _call_each(address, _made(_inputs), count, framed=True)


def gzip_bombs(address: Address, count: int) -> Counter[str]:
    """gRPC messages of half a gigabyte of zeros, compressed."""
    return _call_each(address, _compressed_frame(_bomb()), count, framed=True)


def gzip_bombs_on_a_stream(address: Address, count: int) -> Counter[str]:
    """Streams of sixteen messages of 100 MB of zeros each, compressed: all of them would be 1.6 GB."""
    path = "/inference.GRPCInferenceService/ModelStreamInfer"
    return _call_each(address, _made(_bombs), count, framed=True, path=path)


def two_values_for_all(address: Address, count: int) -> Counter[str]:
    """The same with two values, the second of which stands for the rest."""
    request = _pixels(30_000_000)
    request.inputs["pixels"].int_val.extend([7, 8])
    return _call_each(address, request.SerializeToString(), count)


def _inputs() -> bytes:
    entries = b"".join(b"\x12\x09\x0a\x07%07d" % number for number in range(400_000))
    return _compressed_frame(gzip.compress(entries, 9))


def _bombs() -> bytes:
    return _compressed_frame(gzip.compress(bytes(100_000_000))) * 16


def _pixels(rows: int) -> PredictRequest:
    """A request of that many images without a value."""
    request = PredictRequest()
    request.model_spec.name = "brightness"
    encode_content(request.inputs["pixels"], np.zeros((0, 2, 2), np.uint8), DTYPES["uint8"])
    request.inputs["pixels"].tensor_shape.dim[0].size = rows
    return request


def _many_strings() -> bytes:
    count = _FULL // 3
    request = PredictRequest()
    request.model_spec.name = "text"
    tensor = request.inputs["x"]
    encode_tensor(tensor, np.full(count, b"a", object), DTYPES["string"])
    return request.SerializeToString()


def _many_numbers() -> bytes:
    request = _pixels(_FULL // 4)
    request.inputs["pixels"].int_val.extend(bytes(_FULL // 4 * 4))
    return request.SerializeToString()


def _many_contents() -> bytes:
    request = ModelInferRequest(model_name="text")
    tensor = request.inputs.add(name="x", datatype="BYTES", shape=[_FULL // 3])
    tensor.contents.bytes_contents.extend([b"a"] * (_FULL // 3))
    return request.SerializeToString()


def _many_raw_strings() -> bytes:
    request = ModelInferRequest(model_name="text", raw_input_contents=[bytes(_FULL // 4 * 4)])
    request.inputs.add(name="x", datatype="BYTES", shape=[_FULL // 4])
    return request.SerializeToString()


MESSAGES: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "16 MB of one-byte strings": (_many_strings, http2.PREDICT),
    "16 MB of small integers": (_many_numbers, http2.PREDICT),
    "16 MB of one-byte contents": (_many_contents, _INFER),
    "16 MB of raw empty strings": (_many_raw_strings, _INFER),
}


def send_message(name: str) -> Callable[[Address, int], Counter[str]]:
    """Sends the message of that name so many times, compressed so that it fits into what a stream may send at once."""

    def attack(address: Address, count: int) -> Counter[str]:
        make, path = MESSAGES[name]
        return _call_each(address, _made_and_compressed(make), count, framed=True, path=path)

    return attack


@lru_cache(maxsize=1)
def _made_and_compressed(make: Callable[[], bytes]) -> bytes:
    return _compressed_frame(gzip.compress(make()))


def _compressed_frame(content: bytes) -> bytes:
    return struct.pack(">BI", 1, len(content)) + content


def _call_each(
    address: Address, message: bytes, count: int, *, framed: bool = False, path: str = http2.PREDICT
) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(count):
        encoding = [("grpc-encoding", "gzip")] if framed else []
        found += http2.told_after(address, http2.grpc_call(1, message, encoding, framed=framed, path=path), calls=1)
    return found
