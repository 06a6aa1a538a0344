"""A version that ends the process that loads it: the others go on, and its own place goes on without it.

The version's manifest is a pipe, so that a test sees who has begun to read it, and kills that.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from serving.bundle_files import MANIFEST
from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.waiting import wait_until

REASON = "a worker's process ended while it loaded this version, which is tried again when its files change"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "models" / "brightness" / "1")
    return tmp_path / "models"


def kill_who_reads(pipe: Path) -> int:
    """Waits for the process that opens the pipe to read, and kills it; its id."""
    with pipe.open("wb"):
        processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        (reader,) = [pid for pid in processes if pid != os.getpid() and has_open(pid, pipe)]
        os.kill(reader, signal.SIGKILL)
        return reader


def has_open(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):  # it has ended meanwhile, or closed one
        return any(entry.readlink() == path for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False


@contextlib.contextmanager
def fatal_version(models: Path) -> Iterator[Future[int]]:
    """Version 2; whoever loads it is killed, once. Gives that process' id."""
    building, version = models / ".building", models / "brightness" / "2"
    building.mkdir()
    os.mkfifo(building / MANIFEST)
    building.rename(version)
    with ThreadPoolExecutor(1) as executor:
        try:
            yield executor.submit(kill_who_reads, version / MANIFEST)
        finally:  # whoever still waits for a reader
            os.close(os.open(version / MANIFEST, os.O_RDONLY | os.O_NONBLOCK))


def version_2(gateway: RunningGateway) -> str:
    """Why it is not served, as whichever worker answers a new connection says."""
    (status,) = httpx.get(f"{gateway.rest_url}/v1/models/brightness/versions/2", timeout=60.0).json()[
        "model_version_status"
    ]
    return str(status["status"]["error_message"])


def test_a_version_ends_one_worker_and_no_other(models: Path) -> None:
    with running_gateway(models, workers=2) as gateway:
        before = set(gateway.process.worker_pids)
        with fatal_version(models) as killed:
            assert killed.result(timeout=120.0) in before
        wait_until(lambda: len(set(gateway.process.worker_pids) - {killed.result()}) == 2)
        assert len(before & set(gateway.process.worker_pids)) == 1
        wait_until(lambda: [version_2(gateway) for _ in range(10)] == [REASON] * 10)
        assert httpx.get(f"{gateway.rest_url}/readyz", timeout=60.0).status_code == 200


def test_a_gateway_starts_without_a_version_that_ends_a_worker(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    with fatal_version(models) as killed, running_gateway(models, workers=2) as gateway:
        assert version_2(gateway) == REASON
        assert gateway.rest.get("/v1/models/brightness/versions/1").json()["model_version_status"][0]["state"] == (
            "AVAILABLE"
        )
        assert killed.result(timeout=120.0) not in gateway.process.worker_pids
    assert "was ended by SIGKILL before it took connections, by a version that it was loading" in caplog.text
