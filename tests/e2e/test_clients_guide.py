"""Every example of docs/clients.md, run as it stands there against a gateway process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.boots import write_boots
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.image_files import file_of, gradient

GUIDE = Path(__file__).parents[2] / "docs" / "clients.md"
KSERVE = Path(sys.prefix) / "kserve" / "bin" / "python"
"""KServe's clients have an environment of their own: `make kserve`."""
COMMANDS = {
    "python": (sys.executable, "-"),
    "py": (str(KSERVE) if KSERVE.exists() else "", "-"),
    "sh": ("sh", "-eu"),
    "js": (shutil.which("node") or "", "--input-type=module"),
}


class Example(NamedTuple):
    """One block of code and what it promises to print."""

    language: str
    code: str
    promised: list[str]


def examples() -> dict[str, Example]:
    found = {}
    for number, (language, code) in enumerate(re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(), re.S | re.M)):
        promised = re.findall(r"^\s*(?:#|//) → (.*)$", code, re.M)
        found[f"{number} {language}"] = Example(language, code, promised)
    return found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves `fashion-mnist`, of whom everything is an ankle boot."""
    models = tmp_path_factory.mktemp("models")
    write_boots(models / "fashion-mnist" / "1")
    with running_gateway(models) as running:
        yield running


@pytest.mark.parametrize("name", examples())
def test_the_example_prints_what_the_guide_promises(name: str, gateway: RunningGateway, tmp_path: Path) -> None:
    example = examples()[name]
    command = COMMANDS[example.language]
    if not command[0]:
        pytest.skip({"js": "needs node: apt-get install nodejs", "py": "needs make kserve"}[example.language])
    (tmp_path / "shoe.png").write_bytes(file_of(gradient(), "PNG"))
    code = example.code.replace("localhost:8500", gateway.grpc_address)
    code = code.replace("localhost:8501", gateway.rest_url.removeprefix("http://"))
    assert "localhost" not in code
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    run = subprocess.run(
        command, input=code, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert example.promised
    for promise in example.promised:
        assert promise in run.stdout


def test_every_kind_of_client_has_an_example() -> None:
    code = "\n".join(example.code for example in examples().values())
    clients = (
        "AsyncClient",
        "Client(",
        "curl",
        "fetch(",
        "tensorflow_serving",
        "tritonclient.http",
        "tritonclient.grpc",
        "kserve",
        "grpc_reflection",
    )
    assert [client for client in clients if client not in code] == []
