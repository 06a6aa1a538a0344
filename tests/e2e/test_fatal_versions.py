"""A version that ends the process that loads it: the others go on, and its own place goes on without it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.bundles import write_bundle
from tests.support.fatal_version import fatal_version
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.waiting import wait_until

REASON = "a worker's process ended while it loaded this version, which is tried again when its files change"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "models" / "brightness" / "1")
    return tmp_path / "models"


def version_2(gateway: RunningGateway) -> str:
    """Why it is not served, as whichever worker answers a new connection says."""
    (status,) = httpx.get(f"{gateway.rest_url}/v1/models/brightness/versions/2", timeout=60.0).json()[
        "model_version_status"
    ]
    return str(status["status"]["error_message"])


def test_a_version_ends_one_worker_and_no_other(models: Path) -> None:
    with running_gateway(models, workers=2) as gateway:
        before = set(gateway.process.worker_pids)
        with fatal_version(models / "brightness" / "2") as killed:
            assert killed.result(timeout=120.0) in before
        wait_until(lambda: len(set(gateway.process.worker_pids) - {killed.result()}) == 2)
        assert len(before & set(gateway.process.worker_pids)) == 1
        wait_until(lambda: [version_2(gateway) for _ in range(10)] == [REASON] * 10)
        assert httpx.get(f"{gateway.rest_url}/readyz", timeout=60.0).status_code == 200


def test_a_gateway_starts_without_a_version_that_ends_a_worker(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    with fatal_version(models / "brightness" / "2") as killed, running_gateway(models, workers=2) as gateway:
        assert version_2(gateway) == REASON
        assert gateway.rest.get("/v1/models/brightness/versions/1").json()["model_version_status"][0]["state"] == (
            "AVAILABLE"
        )
        assert killed.result(timeout=120.0) not in gateway.process.worker_pids
    assert "was ended by SIGKILL before it took connections, by a version that it was loading" in caplog.text
