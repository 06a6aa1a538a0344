"""`make bench-growth` runs from end to end; what it measures in so short a time says nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("h2load") is None, reason="needs h2load (Debian: nghttp2-client)")
def test_curves_are_measured_and_drawn(tmp_path: Path) -> None:
    flags = ["--smoke", "--curves", "connections,models", "--output", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.growth", *flags]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]

    points = json.loads((tmp_path / "growth.json").read_text())["points"]
    assert [(point["curve"], point["at"]) for point in points] == [
        *(("connections", 1), ("connections", 4)),
        *(("models", 1), ("models", 2)),
    ]
    assert all(point["failed"] == 0 and point["images_per_s"] > 0 and point["resident_mb"] > 10 for point in points)
    with Image.open(tmp_path / "growth.png") as picture:
        assert picture.width > 500
    assert (tmp_path / "growth.md").read_text() == ended.stdout[:-1]
