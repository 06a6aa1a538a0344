"""Memory over 50 reloads of a real convolutional net: `make soak`."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from serving.client import Client
from tests.support.convolutional_bundle import IMAGE_SIZE, LABELS, export_convolutional_net
from tests.support.gateway import running_gateway
from tests.support.waiting import wait_until

RELOADS = 50
MEBIBYTE = 1024 * 1024
TIMEOUT_S = 600.0
QUIET_LOOKS = 10


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def at_rest_bytes(pid: int) -> int:
    """What stays resident: the first figure that has not fallen for some seconds."""
    lowest, quiet = resident_bytes(pid), 0
    while quiet < QUIET_LOOKS:
        time.sleep(1.0)
        now = resident_bytes(pid)
        quiet = 0 if now < lowest - MEBIBYTE else quiet + 1
        lowest = min(lowest, now)
    return lowest


def ask(client: Client) -> None:
    """Some requests, of one row and of many."""
    for rows in (1, 16, 64):
        pixels = np.full((rows, IMAGE_SIZE, IMAGE_SIZE, 3), 100, np.uint8)
        assert client.predict("net", pixels).output.shape == (rows, len(LABELS))


@pytest.mark.soak
def test_memory_is_given_back_over_50_reloads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = export_convolutional_net(tmp_path / "models", "net", tmp_path / "scratch")

    def states(client: httpx.Client) -> dict[str, str]:
        document = client.get("/v1/models/net", timeout=TIMEOUT_S).json()
        return {status["version"]: status["state"] for status in document["model_version_status"]}

    resident, at_rest = [], []
    with (
        running_gateway(tmp_path / "models") as gateway,
        Client(gateway.rest_url, timeout_s=TIMEOUT_S) as client,
    ):
        for version in range(1, RELOADS + 2):
            if version > 1:
                shutil.copytree(first, first.with_name(f".copying-{version}"))
                first.with_name(f".copying-{version}").rename(first.with_name(str(version)))
                wait_until(lambda v=version: states(gateway.rest).get(str(v)) == "AVAILABLE", TIMEOUT_S)
                wait_until(lambda v=version: states(gateway.rest).get(str(v - 1)) == "END", TIMEOUT_S)
                if version > 3:
                    shutil.rmtree(first.with_name(str(version - 2)))  # the first is copied from
            ask(client)
            if version == 1:
                at_rest.append(at_rest_bytes(gateway.process.worker_pids[0]))
            resident.append(resident_bytes(gateway.process.worker_pids[0]))
        at_rest.append(at_rest_bytes(gateway.process.worker_pids[0]))
    size = sum(path.stat().st_size for path in first.rglob("model.onnx"))
    first_at_rest, last_at_rest = at_rest
    shown = [round(value / MEBIBYTE) for value in resident]
    with capsys.disabled():
        print(
            f"\na model of {size / MEBIBYTE:.1f} MiB, reloaded {RELOADS} times; resident at rest: "
            f"{first_at_rest / MEBIBYTE:.0f} MiB before, {last_at_rest / MEBIBYTE:.0f} MiB after "
            f"({last_at_rest / first_at_rest - 1:+.1%}); right after each reload, in MiB: {shown}"
        )
    assert last_at_rest < 1.1 * first_at_rest
