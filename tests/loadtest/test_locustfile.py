"""A few seconds of Locust against a real gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1")
    with running_gateway(models) as running:
        yield running


def locust(gateway: RunningGateway, model: str, *user_classes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "--json"),
            *("-u", "4", "-r", "4", "-t", "2s", "--rows", "2", "--model", model),
            *("--host", gateway.rest_url, "--grpc-port", gateway.grpc_address.rpartition(":")[2]),
            *user_classes,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )


@pytest.mark.parametrize(("user", "method"), [("RestUser", "POST"), ("GrpcUser", "gRPC")])
def test_each_user_asks_and_is_content_with_the_answers(gateway: RunningGateway, user: str, method: str) -> None:
    ended = locust(gateway, "brightness", user)
    assert ended.returncode == 0, ended.stderr
    (figures,) = json.loads(ended.stdout)
    assert figures["method"] == method
    assert figures["num_requests"] > 4
    assert figures["num_failures"] == 0


def test_a_model_that_is_not_served_ends_the_run_at_once_with_the_reason(gateway: RunningGateway) -> None:
    ended = locust(gateway, "other")
    assert ended.returncode == 2
    assert "/v1/models/other/metadata answers 404" in ended.stderr
    assert "Traceback" not in ended.stderr
