from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.training_report import OURS, OURS_LIKE_PLAIN, PLAIN

ROOT = Path(__file__).parents[2]


def test_make_bench_training_smoke_measures_all_three_on_the_digits(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.training", "--smoke", "--output", str(tmp_path)]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert result.returncode == 0, result.stderr[-2000:]
    report = json.loads((tmp_path / "training.json").read_text())
    assert [row["contestant"] for row in report["medians"]] == [PLAIN, OURS, OURS_LIKE_PLAIN]
    for row in report["medians"]:
        assert row["recipe"] == "digits-dense"
        assert 0 < row["seconds"] < row["process_seconds"]
        assert row["accuracy"] > 0.5
        assert row["peak_mb"] > 100
    assert (tmp_path / "training.md").read_text() == result.stdout
