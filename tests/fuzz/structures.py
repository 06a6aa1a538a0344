"""Made-up structures against a running gateway: messages and JSON that are nearly right, and good ones spoilt.

`python -m tests.fuzz.structures grpc --seconds 300` sends them until the time is up, and prints how many, what they
were answered, and the memory of the gateway on the way; it ends with the request where something is found.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from serving.signatures import DTYPES
from serving.wire import atelier_oip_pb2 as oip
from serving.wire import atelier_tfs_pb2 as tfs
from tests.fuzz.application import FoundError
from tests.fuzz.seeds import grpc_messages, rest_requests, write_models
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.hostile.memory import memory_bytes

TIMEOUT_S = 60.0
ROUND = 200
"""Requests that Hypothesis makes up from one seed."""
MAX_GROWTH_BYTES = 300_000_000
_OUR_FAULT = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
_NO_ANSWER = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}

Draw = Callable[[st.SearchStrategy[Any]], Any]

MODELS = st.sampled_from(["brightness", "line", "pair", "text", "echo_float32", "echo_bfloat16", "nothing", "", "ü/%"])
SIGNATURES = st.sampled_from(["", "serving_default", "classify", "regress", "image_bytes", "none"])
NAMES = st.sampled_from(["pixels", "x", "a", "b", "y", "inputs", "image_bytes", "scores", ""])
SIZES = st.lists(st.sampled_from([0, 1, 2, 3, -1, 2**31, 2**62, -(2**63)]), max_size=4)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 255, 256])
BITS = st.binary(max_size=40)
DATATYPES = st.sampled_from([*(dtype.oip for dtype in DTYPES.values()), "", "FP8"])


@st.composite
def spoilt(draw: Draw, content: bytes) -> bytes:
    """The content with some bytes changed, cut out or put in."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(content)))
        content[position : position + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(content)


@st.composite
def predict_requests(draw: Draw) -> tuple[str, bytes]:
    """A PredictRequest whose fields do not have to fit each other."""
    request = tfs.PredictRequest(output_filter=draw(st.lists(NAMES, max_size=2)))
    spec = request.model_spec
    spec.name, spec.signature_name = draw(MODELS), draw(SIGNATURES)
    if draw(st.booleans()):
        spec.version.value = draw(NUMBERS)
    for name in draw(st.lists(NAMES, max_size=2, unique=True)):
        tensor = request.inputs[name]
        tensor.dtype = draw(st.integers(0, 25))
        for size in draw(SIZES):
            tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_content = draw(st.just(b"") | BITS)
        tensor.float_val.extend(draw(st.lists(BITS, max_size=2)))
        tensor.int_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5)))
        tensor.string_val.extend(draw(st.lists(BITS, max_size=3)))
        tensor.int64_val.extend(draw(st.lists(NUMBERS, max_size=3)))
        tensor.half_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5)))
    return "/tensorflow.serving.PredictionService/Predict", request.SerializeToString()


@st.composite
def infer_requests(draw: Draw) -> tuple[str, bytes]:
    """A ModelInferRequest whose fields do not have to fit each other."""
    request = oip.ModelInferRequest(
        model_name=draw(MODELS),
        model_version=draw(st.sampled_from(["", "1", "4", "x", "-1", "9" * 30])),
        raw_input_contents=draw(st.lists(BITS, max_size=2)),
    )
    for name in draw(st.lists(NAMES, max_size=2)):
        tensor = request.inputs.add(name=name, datatype=draw(DATATYPES), shape=draw(SIZES))
        if draw(st.booleans()):
            tensor.contents.fp32_contents.extend(draw(st.lists(BITS, max_size=2)))
            tensor.contents.uint_contents.extend(draw(st.lists(st.integers(0, 2**32 - 1), max_size=5)))
            tensor.contents.bytes_contents.extend(draw(st.lists(BITS, max_size=3)))
    for name in draw(st.lists(NAMES, max_size=2)):
        request.outputs.add(name=name).parameters["classification"].int64_param = draw(NUMBERS)
    return "/inference.GRPCInferenceService/ModelInfer", request.SerializeToString()


SPOILT_MESSAGES = st.sampled_from(list(grpc_messages())).flatmap(
    lambda good: st.tuples(st.just(good[0]), spoilt(good[1]))
)
GRPC = predict_requests() | infer_requests() | SPOILT_MESSAGES

SCALARS = st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=5) | st.just({"b64": "AAEC"})
_TFS_KEYS = ("instances", "inputs", "signature_name", "examples", "context", "images", "b64", "pixels", "x", "a")
_OIP_KEYS = ("name", "datatype", "shape", "data", "outputs", "parameters", "id", "binary_data_size", "classification")
KEYS = st.sampled_from([*_TFS_KEYS, *_OIP_KEYS])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
TENSORS = st.lists(
    st.fixed_dictionaries({"name": NAMES, "datatype": DATATYPES, "shape": SIZES, "data": VALUES}), max_size=2
)
DOCUMENTS = (
    st.dictionaries(KEYS, VALUES, max_size=4)
    | st.fixed_dictionaries({"inputs": TENSORS}, optional={"outputs": VALUES, "parameters": VALUES, "id": VALUES})
    | st.fixed_dictionaries({"instances": VALUES}, optional={"signature_name": SIGNATURES})
    | st.fixed_dictionaries({"examples": VALUES}, optional={"signature_name": SIGNATURES})
)
REST_PATHS = st.builds(
    "/v1/models/{}:{}".format,
    st.sampled_from(["brightness", "pair", "text", "line"]),
    st.sampled_from(["predict", "classify", "regress"]),
) | st.builds("/v2/models/{}/infer".format, st.sampled_from(["brightness", "pair", "text", "echo_bfloat16"]))
MADE_UP = st.tuples(REST_PATHS, DOCUMENTS).map(lambda made: (made[0], _json(made[1]), {}))
SPOILT_BODIES = st.sampled_from([one for one in rest_requests() if one.method == "POST"]).flatmap(
    lambda good: st.tuples(st.just(good.path), spoilt(good.body), st.just(dict(good.headers)))
)
REST = MADE_UP | SPOILT_BODIES


def _json(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")


def ask_grpc(gateway: RunningGateway) -> Callable[[Any], str]:
    """Sends a path and a message; gives the status' name."""
    channel = grpc.insecure_channel(gateway.grpc_address)

    def ask(made: tuple[str, bytes]) -> str:
        path, message = made
        stream = path.endswith(("ModelStreamInfer", "ServerReflectionInfo"))
        try:
            if stream:
                list(channel.stream_stream(path)(iter([message]), timeout=TIMEOUT_S))
            else:
                channel.unary_unary(path)(message, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() in _OUR_FAULT | _NO_ANSWER:
                raise FoundError(f"{path} {message!r}: {error.code()} {error.details()}") from error
            return str(error.code().name)
        return "OK"

    return ask


def ask_rest(gateway: RunningGateway) -> Callable[[Any], str]:
    """Sends a path, a body and headers; gives the status."""

    def ask(made: tuple[str, bytes, dict[str, str]]) -> str:
        path, body, headers = made
        answer = gateway.rest.post(path, content=body, headers=headers, timeout=httpx.Timeout(TIMEOUT_S))
        if answer.status_code >= 500 and answer.status_code != 501:
            raise FoundError(f"{path} {headers} {body!r}: {answer.status_code} {answer.text}")
        return str(answer.status_code)

    return ask


def fuzz(gateway: RunningGateway, protocol: str, seconds: float) -> Counter[str]:
    """Asks until the time is up, and one round at least; how often each answer came.

    Prints the gateway's memory once a minute.
    """
    made, ask = (GRPC, ask_grpc(gateway)) if protocol == "grpc" else (REST, ask_rest(gateway))
    answers: Counter[str] = Counter()
    ends_at, number = time.monotonic() + seconds, 0
    next_report_at, memory = time.monotonic(), [memory_bytes(gateway)]
    while not number or time.monotonic() < ends_at:

        @seed(number)
        @settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(made)
        def one_round(request: Any) -> None:
            answers[ask(request)] += 1

        one_round()
        number += 1
        if time.monotonic() >= next_report_at:
            next_report_at += 60.0
            memory.append(memory_bytes(gateway))
            print(f"{answers.total():,} requests, {memory[-1] / 1e6:.0f} MB, {dict(answers)}", flush=True)
    memory.append(memory_bytes(gateway))
    if memory[-1] > memory[1] + MAX_GROWTH_BYTES:
        raise FoundError(f"the gateway's memory grew: {memory}")
    print(f"{answers.total():,} requests, {memory[-1] / 1e6:.0f} MB, {dict(answers)}")
    return answers


def main() -> None:
    """Starts a gateway and fuzzes it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=["grpc", "rest"])
    parser.add_argument("--seconds", type=float, default=300)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="atelier-fuzz-") as folder:
        write_models(Path(folder))
        with running_gateway(Path(folder)) as gateway:
            fuzz(gateway, chosen.protocol, chosen.seconds)


if __name__ == "__main__":
    main()
