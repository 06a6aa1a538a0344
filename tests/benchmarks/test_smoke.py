from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.servers import COMMANDS, GATEWAY

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed (Debian: nghttp2-client)")
def test_make_bench_smoke_measures_every_server_and_leaves_none_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.run", "--smoke", "--output", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["missing"] == {}
    assert {found["server"] for found in report["footprints"]} == set(COMMANDS)
    measured = {(row["protocol"], row["server"]) for row in report["medians"]}
    assert {("grpc", GATEWAY), ("rest", GATEWAY)} < measured
    assert all(row["failed"] == 0 for row in report["medians"])
    assert (tmp_path / "bench.md").read_text() == result.stdout[:-1]
