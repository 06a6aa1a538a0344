"""`make bench-overload` runs from end to end; what it measures in so short a time says nothing."""

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
def test_the_overload_curve_is_measured_and_drawn(tmp_path: Path) -> None:
    flags = ["--rates", "0.5", "3", "--seconds", "1", "--ms-per-row", "10", "--output", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.overload", *flags]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]

    document = json.loads((tmp_path / "overload.json").read_text())
    points = document["points"]
    assert [(point["gateway"], point["offered"]) for point in points] == [
        (gateway, offered) for gateway in ("defaults", "SLO") for offered in (0.5, 3.0)
    ]
    assert all(point["failed"] == 0 and point["answered_per_s"] > 0 for point in points)
    with Image.open(tmp_path / "overload.png") as picture:
        assert picture.width > 1000
    assert ended.stdout.count("\n| SLO") == 2
