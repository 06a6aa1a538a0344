"""What a Python process of ours is started with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.child_python import command, environment


def test_it_finds_our_modules_and_none_of_the_current_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "__init__.py").write_text("raise SystemExit('another one')")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    run = [*command("serving.healthcheck")[:-2], "-c", "import serving; print(serving.__file__)"]
    said = subprocess.run(run, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True).stdout
    assert Path(said.strip()) == Path(__file__).parents[2] / "serving" / "__init__.py"


def test_the_operators_word_on_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment()["MALLOC_MMAP_THRESHOLD_"] == "4194304"
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    told = environment()
    assert (told["MALLOC_MMAP_THRESHOLD_"], told["GLIBC_TUNABLES"]) == ("1", "glibc.malloc.hugetlb=1")
