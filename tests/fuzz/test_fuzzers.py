"""The fuzzers run, start from requests that are answered well, and find what is there to be found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.application import Application, FoundError
from tests.fuzz.seeds import Request, grpc_requests, rest_requests, write_models
from tests.fuzz.structures import fuzz
from tests.support.gateway import running_gateway

WELL = {"200", "200 0"}
"""A stream's end comes behind what is looked at here."""
GRPC = (("content-type", "application/grpc"),)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("fuzz")
    write_models(folder / "models")
    (folder / "shared").mkdir()
    application = Application(folder / "models", folder / "shared")
    yield application
    application.close()


def test_every_seed_is_answered_well(application: Application) -> None:
    refused = {
        request.path: status
        for request in grpc_requests()
        if (status := application.ask(request._replace(headers=GRPC + request.headers))) not in WELL
    }
    refused |= {request.path: status for request in rest_requests() if (status := application.ask(request)) not in WELL}
    assert refused == {"/v1/models/brightness:classify": "400"}, "its last seed of JSON is half of an image"


def test_an_internal_error_is_found(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.offload.json_reader.JsonReader.open", lambda *_, **__: 1 / 0)
    with pytest.raises(FoundError, match="ZeroDivisionError"):
        application.ask(Request("/v1/models/brightness:predict", b"{}"))


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_bytes_are_fuzzed(protocol: str) -> None:
    pytest.importorskip("atheris", reason="atheris is for Linux only")
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", protocol, "--seconds", "1"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "stat::number_of_executed_units" in run.stderr


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_structures_are_fuzzed_against_a_gateway(protocol: str, tmp_path: Path) -> None:
    write_models(tmp_path)
    with running_gateway(tmp_path) as gateway:
        answers = fuzz(gateway, protocol, 0.1)
    assert answers.total() >= 100
    assert len(answers) > 1
