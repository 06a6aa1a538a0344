"""How many cores and threads a worker takes."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from serving.cores import cpu_limit, threads_for_each, usable_cores

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("content", "cores"),
    [("max 100000\n", ALL), ("100000 100000\n", 1), ("50000 100000\n", 1), ("100000000 100000\n", ALL), ("odd", ALL)],
)
def test_a_containers_limit_bounds_the_cores(content: str, cores: int, tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text(content)
    assert usable_cores(limit) == cores


@pytest.mark.parametrize(
    ("content", "limit"), [("150000 100000\n", 1.5), ("max 100000\n", math.inf), ("1 0\n", math.inf), ("", math.inf)]
)
def test_a_containers_limit_is_told_in_parts_of_a_core(content: str, limit: float, tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(content)
    assert cpu_limit(file) == limit


def test_without_a_container_all_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "nowhere") == ALL


@pytest.mark.parametrize(("workers", "cores", "threads"), [(1, 8, 8), (2, 8, 4), (3, 8, 2), (16, 8, 1)])
def test_workers_share_the_cores(workers: int, cores: int, threads: int) -> None:
    assert threads_for_each(workers, cores) == threads
