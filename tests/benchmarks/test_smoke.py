from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases import cases
from benchmarks.servers import GATEWAY

ROOT = Path(__file__).parents[2]


def bench(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.run", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed (Debian: nghttp2-client)")
def test_make_bench_smoke_measures_every_case_and_leaves_no_server_behind(tmp_path: Path) -> None:
    result = bench("--smoke", "--output", str(tmp_path))
    assert result.returncode == 0, result.stderr[-2000:]
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["missing"] == {}
    measured = {(row["case"], row["server"]) for row in report["medians"]}
    assert measured == {(case.name, server) for case in cases().values() for server in case.openings}
    assert all(row["failed"] == 0 for row in report["medians"])
    assert ("cold", GATEWAY) in {(start["case"], start["server"]) for start in report["starts"]}
    assert (tmp_path / "bench.md").read_text() == result.stdout[:-1]
    assert (tmp_path / "bench.png").exists()


def test_an_unknown_case_is_refused_with_those_there_are() -> None:
    result = bench("--cases", "grpc,soap")
    assert result.returncode == 2
    assert "expected some of grpc,rest," in result.stderr
    assert "received soap" in result.stderr
