"""KServe's own clients against a gateway process; `make kserve` installs them, in an environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import RunningGateway

PYTHON = Path(sys.prefix) / "kserve" / "bin" / "python"
CLIENT = Path(__file__).parents[2] / "support" / "kserve_client.py"
VALUES = {
    "FP32": [1.5, -2.0, 3.25, 0.0],
    "FP16": [1.5, -2.0, 3.25, 0.0],
    "INT64": [2**62, -1, 0, 7],
    "UINT8": [0, 255, 1, 2],
    "BOOL": [True, False, False, True],
    "BYTES": ["a", "", "ü", "x" * 300],
}
FORMS = [(datatype, form) for datatype in VALUES for form in ("binary", "in lists")]
FORMS.remove(("FP16", "in lists"))


@pytest.fixture(scope="module")
def seen(gateway: RunningGateway) -> dict[str, Any]:
    """What both clients saw."""
    if not PYTHON.exists():
        pytest.skip("KServe's clients are not installed: make kserve")
    asked = subprocess.run(
        [PYTHON, CLIENT, gateway.rest_url, gateway.grpc_address],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    found: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_the_client_sees_what_is_ready(protocol: str, seen: dict[str, Any]) -> None:
    answers = seen[protocol]
    assert (answers["live"], answers["ready"], answers["model ready"]) == (True, True, True)
    assert not answers["unknown model ready"]


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize(("datatype", "form"), FORMS)
def test_the_client_has_its_numbers_back(protocol: str, datatype: str, form: str, seen: dict[str, Any]) -> None:
    assert seen[protocol][f"{datatype} {form}"] == {
        "id": "42",
        "model": f"echo-{datatype}",
        "version": "7" if protocol == "grpc" else None,  # which the REST client does not read
        "name": "y",
        "datatype": datatype,
        "shape": [2, 2],
        "values": VALUES[datatype],
    }


@pytest.mark.parametrize(("protocol", "status"), [("rest", 404), ("grpc", "NOT_FOUND")])
def test_the_client_is_told_of_an_unknown_model(protocol: str, status: Any, seen: dict[str, Any]) -> None:
    assert seen[protocol]["unknown model"] == [status, "Request for unknown model: 'nothing' is not found"]
