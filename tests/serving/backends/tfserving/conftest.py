"""TensorFlow Serving processes to ask: the real ones where they are installed, else stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
