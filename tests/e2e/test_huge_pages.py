"""A worker's memory stays where it is while requests wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import running_gateway


def test_the_kernel_gives_a_worker_no_huge_pages(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path) as gateway:
        (pid,) = gateway.process.worker_pids
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if "THP_enabled" not in status:
            pytest.skip("this kernel does not say whether a process may have huge pages (Linux 5.0 and later do)")
        assert status["THP_enabled"].strip() == "0"
