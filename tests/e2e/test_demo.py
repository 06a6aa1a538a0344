"""`atelier demo` as a new user runs it on a machine with neither data nor network."""

from __future__ import annotations

import os
import re
from pathlib import Path

from PIL import Image

from tests.support.cli import atelier

CLOSED = "http://127.0.0.1:9"


def test_without_data_the_demo_says_so_and_shows_the_whole_path_on_digits(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ATELIER_DATA"}
    environment |= {"KERAS_HOME": str(tmp_path), "http_proxy": CLOSED, "https_proxy": CLOSED}
    result = atelier("demo", "--out", str(tmp_path / "demo"), timeout_s=900.0, environment=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Fashion-MNIST is not to be had" in result.stdout
    accuracy = re.search(r"test accuracy (0\.\d+)", result.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) >= 0.95
    right = re.search(r"(\d+) of 12 right; gRPC and REST gave the same numbers", result.stdout)
    assert right is not None
    assert int(right[1]) >= 9
    with Image.open(tmp_path / "demo" / "predictions.png") as picture:
        assert picture.width > 1000
    assert len(list((tmp_path / "demo" / "images").glob("*.png"))) == 12
    assert (tmp_path / "demo" / "models" / "digits" / "1" / "saved_model.pb").is_file()
