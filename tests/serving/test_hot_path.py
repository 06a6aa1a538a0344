"""What runs when a request is answered: straight-line code of ours, and no framework, validation or logging call."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

from serving.signatures import DTYPES
from serving.wire.atelier_oip_pb2 import ModelInferRequest
from serving.wire.atelier_tfs_pb2 import PredictRequest
from serving.wire.grpc_framing import encode_message
from serving.wire.oip_tensors import encode_raw
from serving.wire.tensors import encode_content
from tests.fuzz.application import Application
from tests.fuzz.seeds import Request, write_models

COLD = ("starlette", "pydantic", "pydantic_core", "pydantic_settings", "logging", "fastapi", "httpx")
GRPC = (("content-type", "application/grpc"),)
PIXELS = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)


def predict() -> Request:
    request = PredictRequest()
    request.model_spec.name = "brightness"
    encode_content(request.inputs["pixels"], PIXELS, DTYPES["uint8"])
    path = "/tensorflow.serving.PredictionService/Predict"
    return Request(path, encode_message(request.SerializeToString()), GRPC)


def infer() -> Request:
    request = ModelInferRequest(model_name="brightness", raw_input_contents=[encode_raw(PIXELS)])
    request.inputs.add(name="pixels", datatype="UINT8", shape=PIXELS.shape)
    path = "/inference.GRPCInferenceService/ModelInfer"
    return Request(path, encode_message(request.SerializeToString()), GRPC)


TENSOR = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2, 2], "data": [0, 1, 2, 3]}
HOT = {
    "gRPC Predict": predict,
    "gRPC ModelInfer": infer,
    "REST rows": lambda: Request("/v1/models/brightness:predict", json.dumps({"instances": PIXELS.tolist()}).encode()),
    "REST infer": lambda: Request("/v2/models/brightness/infer", json.dumps({"inputs": [TENSOR]}).encode()),
}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("hot")
    write_models(folder / "models")
    (folder / "shared").mkdir()
    application = Application(folder / "models", folder / "shared")
    yield application
    application.close()


def packages_called(call: Callable[[], Any]) -> dict[str, int]:
    """How many calls went into the Python code of each package while `call` ran in this thread."""
    found: dict[str, int] = {}

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            name = frame.f_globals.get("__name__", "").partition(".")[0]
            found[name] = found.get(name, 0) + 1
        elif event == "c_call":
            owner = (getattr(_, "__module__", None) or "").partition(".")[0]
            found[owner] = found.get(owner, 0) + 1

    previous = sys.getprofile()
    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(previous)
    return found


@pytest.mark.parametrize("name", HOT)
def test_no_framework_no_validation_and_no_logging_is_called(name: str, application: Application) -> None:
    request = HOT[name]()
    assert application.ask(request).startswith("200")  # what happens only once has happened
    called = packages_called(lambda: application.ask(request))
    assert called["serving"] >= 10, "the profile sees the gateway's own code"
    assert {package: called[package] for package in COLD if package in called} == {}


def test_the_profile_would_see_them() -> None:
    assert packages_called(lambda: logging.getLogger("cold").debug("nothing"))["logging"] >= 1


def test_a_worker_has_no_web_framework() -> None:
    names = ("starlette", "fastapi", "uvicorn")
    code = f"import sys, serving.worker; print([name for name in {names} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
