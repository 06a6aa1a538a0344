"""What is refused is let go at once, with the memory that it takes, whoever refuses it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from serving.signatures import DTYPES
from serving.wire import atelier_oip_pb2 as oip
from serving.wire import atelier_tfs_pb2 as tfs
from serving.wire.grpc_framing import encode_message
from serving.wire.tensors import encode_tensor
from tests.fuzz.application import Application
from tests.fuzz.seeds import Request, write_models
from tests.support.garbage import frames_in_garbage

GRPC = (("content-type", "application/grpc"),)
PREDICT = "/tensorflow.serving.PredictionService/Predict"
INFER = "/inference.GRPCInferenceService/ModelInfer"
ROWS = "/v1/models/brightness:predict"
PADDING = b" " * 200_000
"""Makes JSON one that is read in the helper process."""
PIXELS = np.zeros((1, 2, 2), np.uint8)
MANY_PIXELS = np.zeros((100_000, 2, 2), np.uint8)


def grpc(path: str, body: bytes, *headers: tuple[str, str]) -> Request:
    return Request(path, body, (*GRPC, *headers))


def predict(model: str, name: str, array: np.ndarray, *headers: tuple[str, str]) -> Request:
    request = tfs.PredictRequest()
    request.model_spec.name = model
    encode_tensor(request.inputs[name], array, DTYPES[array.dtype.name])
    return grpc(PREDICT, encode_message(request.SerializeToString()), *headers)


REFUSED = {
    "gRPC: no protobuf": grpc(PREDICT, encode_message(b"\xff\xff")),
    "gRPC: no frame": grpc(PREDICT, b"\xff\xff"),
    "gRPC: another model": predict("nothing", "pixels", PIXELS),
    "gRPC: another input": predict("brightness", "nothing", PIXELS),
    "gRPC: another shape": predict("brightness", "pixels", PIXELS[0]),
    "gRPC: too late": predict("brightness", "pixels", PIXELS, ("grpc-timeout", "1n")),
    "gRPC: more rows than may wait": predict("brightness", "pixels", MANY_PIXELS),
    "gRPC: too long": predict("brightness", "pixels", np.zeros((300_000, 2, 2), np.uint8)),
    "gRPC: a bomb": grpc(PREDICT, encode_message(bytes(5_000_000), "gzip"), ("grpc-encoding", "gzip")),
    "gRPC: no inputs": grpc(INFER, encode_message(oip.ModelInferRequest(model_name="brightness").SerializeToString())),
    "gRPC: a stream of one frame that is too long": grpc(f"{INFER[:-5]}StreamInfer", b"\0\xff\xff\xff\xff" + PADDING),
    "gRPC: a stream that ends within a frame": grpc(f"{INFER[:-5]}StreamInfer", b"\0\0\0\xff\xff\0"),
    "gRPC: a stream with a damaged frame among many": grpc(
        f"{INFER[:-5]}StreamInfer", encode_message(b"") + b"\xf9" + bytes(99)
    ),
    "REST: no JSON": Request(ROWS, b"["),
    "REST: another model": Request("/v1/models/nothing:predict", b'{"instances":[1]}'),
    "REST: another shape": Request(ROWS, b'{"instances":[1]}'),
    "REST: more rows than may wait": Request(ROWS, json.dumps({"instances": MANY_PIXELS.tolist()}).encode()),
    "REST: too long": Request(ROWS, b"[" + PADDING * 10),
    "REST: long, no JSON": Request(ROWS, b"[" + PADDING),
    "REST: long, another shape": Request(ROWS, b'{"instances":[1]}' + PADDING),
    "REST: long examples": Request("/v1/models/brightness:classify", b'{"examples":[1]}' + PADDING),
    "REST: long tensors": Request("/v2/models/brightness/infer", b'{"inputs":[{}]}' + PADDING),
    "REST: no image": Request("/v1/models/brightness:classify", b"\x89PNG" + bytes(9000)),
}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("refusals")
    write_models(folder / "models")
    (folder / "shared").mkdir()
    application = Application(folder / "models", folder / "shared")
    yield application
    application.close()


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_request_waits_for_no_garbage_collector(name: str, application: Application) -> None:
    application.ask(REFUSED[name])  # what happens only once has happened
    with frames_in_garbage() as frames:
        status = application.ask(REFUSED[name])
        application.turn()
    assert status not in {"200", "200 0"}
    assert frames == []
