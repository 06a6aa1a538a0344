"""Requests as load generators send them: an address, a body, and a real client that checks the answer first."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.clients import (
    GRPC_PATH,
    OIP_PATH,
    check_grpc,
    check_image,
    check_json,
    check_oip,
    check_raw,
    check_rest,
    grpc_frame,
    grpc_request,
    oip_request,
    rest_body,
    rest_path,
)
from benchmarks.model import Model

JSON, BYTES = "application/json", "application/octet-stream"


@dataclass(frozen=True)
class Call:
    """One request, over and over; `by` is how a table names it.

    `check` raises WrongAnswerError, or what its client raises when there is no answer. `others` are more addresses on
    the same port that take the same body: they are asked in turn. gRPC has one connection, or one for each `streams`
    in flight; HTTP has one for each request in flight.
    """

    by: str
    url: str
    body: bytes
    content_type: str
    check: Callable[[], None]
    is_grpc: bool = False
    others: tuple[str, ...] = ()
    streams: int | None = None


def tfs_grpc(address: str, model: Model, rows: int = 1) -> Call:
    """TensorFlow Serving's Predict, as its official client sends it."""
    inputs = model.inputs(rows)
    body = grpc_frame(grpc_request(model, inputs).SerializeToString())
    check = partial(check_grpc, address, model, inputs)
    return Call("gRPC", f"http://{address}{GRPC_PATH}", body, "application/grpc", check, is_grpc=True)


def tfs_rest(address: str, model: Model, rows: int = 1) -> Call:
    """TensorFlow Serving's `:predict` with JSON rows."""
    inputs = model.inputs(rows)
    check = partial(check_rest, address, model, inputs)
    return Call("JSON rows", f"http://{address}{rest_path(model)}", rest_body(inputs), JSON, check)


def oip_grpc(address: str, model: Model, rows: int = 1) -> Call:
    """The Open Inference Protocol's ModelInfer with raw contents, as Triton's official client sends it."""
    inputs = model.inputs(rows)
    body = grpc_frame(oip_request(model, inputs).SerializeToString())
    check = partial(check_oip, address, model, inputs)
    return Call("gRPC, raw contents", f"http://{address}{OIP_PATH}", body, "application/grpc", check, is_grpc=True)


def raw_http(address: str, model: Model, rows: int = 1, *, path: str) -> Call:
    """The pixels' bytes over HTTP/1.1; the answer is the scores' bytes."""
    inputs = model.inputs(rows)
    url = f"http://{address}{path}"
    return Call("raw bytes over HTTP", url, inputs.tobytes(), BYTES, partial(check_raw, url, model, inputs))


def json_http(address: str, model: Model, rows: int = 1, *, path: str) -> Call:
    """The rows in an object of inputs as JSON over HTTP/1.1; the answer is the scores alone."""
    inputs, url = model.inputs(rows), f"http://{address}{path}"
    body = json.dumps({model.input_name: inputs.tolist()}, separators=(",", ":")).encode()
    return Call("JSON over HTTP", url, body, JSON, partial(check_json, url, body, model, inputs))


def image_upload(address: str, model: Model, file: bytes, content_type: str, best: int) -> Call:
    """An image file as the body of the gateway's `:classify`; `best` is the class that has to come first."""
    url = f"http://{address}/v1/models/{model.name}:classify"
    return Call("image file", url, file, content_type, partial(check_image, url, file, content_type, best))
