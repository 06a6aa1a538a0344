"""TensorFlow Serving processes to ask, the real ones or else stand-ins; and a scripted HTTP/2 server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from serving.backends.tfserving.channel import Channel
from tests.support.http2_calls import channel_to
from tests.support.http2_server import Http2Server, http2_server
from tests.support.onnx_models import write_brightness_model, write_row_maximum_model
from tests.support.tfserving import TfServing, running_tfserving, write_models_config


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`brightness`, versions 3 and 4, of which 3 is `stable`; `largest`, the largest number of each row."""
    folder = tmp_path_factory.mktemp("tfserving")
    for version in (3, 4):
        write_brightness_model(folder / "brightness" / str(version), scale=version)
    write_row_maximum_model(folder / "largest" / "1")
    names = ("brightness", "largest")
    return write_models_config(folder / "models.config", {name: folder / name for name in names}, labels={"stable": 3})


@pytest.fixture(scope="session")
def two_servers(configuration: Path) -> Iterator[list[TfServing]]:
    """Two servers that nobody kills."""
    with running_tfserving(configuration, count=2) as servers:
        yield servers


@pytest.fixture
async def server() -> AsyncIterator[Http2Server]:
    async with http2_server() as running:
        yield running


@pytest.fixture
async def channel(server: Http2Server) -> AsyncIterator[Channel]:
    async with channel_to(server.address) as opened:
        yield opened
