"""One gateway for the tests that change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.onnx_models import write_identity_model, write_two_input_model


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves `brightness` (a classifier of 2 x 2 gray images, versions 3 and 4; 4 is served), `pair` and `text`."""
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "3", scale=3.0)
    write_bundle(models / "brightness" / "4", scale=4.0)
    write_two_input_model(models / "pair" / "1")
    write_identity_model(models / "text" / "1", 8, ["N"])
    with running_gateway(models, max_request_bytes=1_000_000, max_json_bytes=1_000_000) as running:
        yield running
