"""One gateway for all clients of the Open Inference Protocol; they change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.oip import ONNX_TYPES
from tests.support.onnx_models import write_brightness_model, write_identity_model, write_two_input_model


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves `brightness` (uint8 [N, 2, 2] to float32 [N, 3], versions 3 and 4; 4 is served), `pair` of `a` and `b`,
    `fixed` (brightness for batches of 2), `text` (strings [N]) and `echo-…`, one of shape [N, M] for each datatype.
    """
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "3", scale=3.0)
    write_bundle(models / "brightness" / "4", scale=4.0)
    write_two_input_model(models / "pair" / "1")
    write_brightness_model(models / "fixed" / "1", batch=2)
    write_identity_model(models / "text" / "1", onnx.TensorProto.STRING, ["N"])
    for datatype, onnx_type in ONNX_TYPES.items():
        write_identity_model(models / f"echo-{datatype}" / "7", onnx_type, ["N", "M"])
    with running_gateway(models, max_request_bytes=8_000_000, max_json_bytes=1_000_000) as running:
        yield running
