"""What is compared with what: a case is one kind of request, and everybody who answers it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks import tfserving
from benchmarks.calls import Call, image_upload, tfs_grpc, tfs_rest
from benchmarks.direct import own_usage, run_directly
from benchmarks.images import ImageFile, image_spec, open_plainly, photo_jpeg, small_png
from benchmarks.model import Model
from benchmarks.servers import GATEWAY, CallFor, Entrant, Opening, gateway, reference_fastapi, reference_grpc
from serving.images import decode_image

ROWS = 32


@dataclass(frozen=True)
class Case:
    """`openings` start the contestants; `images` is how many one request has."""

    name: str
    title: str
    openings: Mapping[str, Opening]
    images: int = 1


def cases() -> dict[str, Case]:
    """All of them, by name."""
    found = (_grpc(), _rest(), _rows(), _png(), _jpeg(), _upstream())
    return {case.name: case for case in found}


def _grpc() -> Case:
    openings = {
        GATEWAY: gateway(tfs_grpc, "grpc_port"),
        "grpc.aio + ONNX Runtime": reference_grpc(tfs_grpc),
        **tfserving.contestants(),
    }
    return Case("grpc", "gRPC Predict, one image a request", openings)


def _rest() -> Case:
    openings = {
        GATEWAY: gateway(tfs_rest, "rest_port"),
        "FastAPI + uvicorn + ONNX Runtime": reference_fastapi(tfs_rest),
    }
    return Case("rest", "REST, one image a request", openings)


def _rows() -> Case:
    ask = partial(tfs_grpc, rows=ROWS)
    openings: dict[str, Opening] = {
        GATEWAY: gateway(ask, "grpc_port"),
        "grpc.aio + ONNX Runtime": reference_grpc(ask),
        "ONNX Runtime in a loop": _runtime_alone,
    }
    return Case("rows", f"gRPC Predict, {ROWS} images a request", openings, ROWS)


def _png() -> Case:
    upload = _upload(small_png)
    openings = {GATEWAY: gateway(upload, "rest_port"), "FastAPI + Pillow": reference_fastapi(upload)}
    return Case("png", "PNG of the model's size", openings)


def _jpeg() -> Case:
    upload = _upload(photo_jpeg)
    openings: dict[str, Opening] = {
        GATEWAY: gateway(upload, "rest_port"),
        "FastAPI + Pillow": reference_fastapi(upload),
        "the gateway's decoder alone": _decoder_alone,
        "Pillow alone": _pillow_alone,
    }
    return Case("jpeg", "JPEG 640×480", openings)


def _upstream() -> Case:
    name = tfserving.upstream_name()
    openings: dict[str, Opening] = {
        GATEWAY: tfserving.gateway_before_upstream,
        f"{name}, asked directly": tfserving.upstream,
    }
    return Case("upstream", f"In front of the {name}", openings)


def _upload(make: Callable[[Model], ImageFile]) -> CallFor:
    def call(address: str, model: Model) -> Call:
        file = make(model)
        return image_upload(address, model, file.content, file.content_type, file.best)

    return call


@contextlib.contextmanager
def _runtime_alone(model: Model) -> Iterator[Entrant]:
    inputs = model.inputs(ROWS)
    yield _loop(lambda: model.expected(inputs))


@contextlib.contextmanager
def _decoder_alone(model: Model) -> Iterator[Entrant]:
    file, spec = photo_jpeg(model).content, image_spec(model)
    yield _loop(lambda: decode_image(file, spec), len(os.sched_getaffinity(0)))


@contextlib.contextmanager
def _pillow_alone(model: Model) -> Iterator[Entrant]:
    file, spec = photo_jpeg(model).content, image_spec(model)
    yield _loop(lambda: open_plainly(file, spec), len(os.sched_getaffinity(0)))


def _loop(function: Callable[[], object], threads: int = 1) -> Entrant:
    return Entrant("a call", lambda: None, partial(run_directly, function, threads=threads), own_usage)
