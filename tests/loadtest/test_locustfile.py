"""A few seconds of Locust against a real gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import RunningGateway

ROOT = Path(__file__).parents[2]


def locust(gateway: RunningGateway, file: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", f"loadtest/{file}", "--headless", "--json"]
    return subprocess.run(
        [*command, "--host", gateway.rest_url, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300.0,
        check=False,
    )


def test_both_users_ask_in_every_way_and_are_content_with_the_answers(gateway: RunningGateway) -> None:
    ended = locust(
        gateway, "locustfile.py", "-u", "8", "-r", "8", "-t", "3s", "--model", "digits", "--data", "random"
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    figures = {(one["method"], one["name"]): one for one in json.loads(ended.stdout)}
    assert {("POST", "rest-predict"), ("gRPC", "grpc-predict")} <= figures.keys()
    kinds = {"predict", "predict × 16", "image", "oip"}
    assert {name.partition("-")[2] for _, name in figures} <= kinds
    assert sum(one["num_failures"] for one in figures.values()) == 0


def test_tags_choose_what_is_asked(gateway: RunningGateway) -> None:
    ended = locust(
        gateway, "locustfile.py", "-u", "2", "-r", "2", "-t", "2s", "--model", "digits", "--tags", "batch", "oip",
        "--batch-rows", "3", "--data", "random",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    names = {one["name"].partition("-")[2] for one in json.loads(ended.stdout)}
    assert names <= {"predict × 3", "oip"}
    assert names


def test_wrong_answers_are_failures(gateway: RunningGateway) -> None:
    ended = locust(
        gateway, "locustfile.py", "-u", "1", "-t", "2s", "--model", "doubled", "--tags", "single", "--data", "random"
    )
    assert ended.returncode == 1
    figures = json.loads(ended.stdout)
    assert all(one["num_failures"] == one["num_requests"] > 0 for one in figures)


@pytest.mark.parametrize("file", ["locustfile.py", "open_loop.py"])
def test_a_model_that_is_not_served_ends_the_run_at_once_with_the_reason(gateway: RunningGateway, file: str) -> None:
    ended = locust(gateway, file, "--model", "other")
    assert ended.returncode == 2
    assert "/v1/models/other/metadata answers 404" in ended.stderr
    assert "Traceback" not in ended.stderr
