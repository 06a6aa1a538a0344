"""`/openapi.json` follows what is loaded, its examples run, and `/docs` shows it without any other host."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from tests.support.bundles import write_bundle, write_regression
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.kinds import write_onnx_kinds
from tests.support.onnx_models import LABELS, write_identity_model
from tests.support.waiting import wait_until

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Serves `brightness`, `same` (a regression), a name that needs quoting, large inputs, a fixed batch, kinds."""
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "7", scale=1 / 255)
    write_regression(models / "same" / "1")
    write_identity_model(models / "a b%{c}" / "1", TensorProto.STRING, ["N"])
    write_identity_model(models / "large" / "1", TensorProto.FLOAT, ["N", 100, 100])
    write_identity_model(models / "fixed" / "1", TensorProto.INT64, [2, 2])
    write_onnx_kinds(models)
    with running_gateway(models) as running:
        yield running


def document(gateway: RunningGateway) -> dict[str, Any]:
    found = gateway.rest.get("/openapi.json").json()
    assert isinstance(found, dict)
    return found


def model_paths(gateway: RunningGateway, name: str) -> list[str]:
    start = f"/v1/models/{name}"
    return [path.removeprefix(start) for path in document(gateway)["paths"] if path.startswith(start)]


def test_shapes_and_labels_are_exact(served: RunningGateway) -> None:
    schemas = document(served)["components"]["schemas"]
    rows = schemas["brightness-7-predict"]["oneOf"][0]["properties"]["instances"]["oneOf"][0]
    side = {"minItems": 2, "maxItems": 2}
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    assert rows["items"] == {"type": "array", **side, "items": {"type": "array", **side, "items": pixel}}
    found = schemas["brightness-7-classify-answer"]["anyOf"][0]["properties"]["classes"]["items"]["properties"]
    assert found["label"]["enum"] == list(LABELS)
    assert found["index"] == {"type": "integer", "minimum": 0, "maximum": 2}


def test_only_what_takes_images_is_asked_for_them(served: RunningGateway) -> None:
    assert ":classify" in model_paths(served, "brightness")
    assert ":classify" not in model_paths(served, "same")


def test_every_example_is_answered(served: RunningGateway) -> None:
    ran = 0
    for path, methods in document(served)["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            bodies = [example["value"] for example in content.get("examples", {}).values()] or [None]
            for body in bodies if method == "post" and bodies != [None] else [None] * (method == "get"):
                response = served.rest.request(method, path, json=body)
                assert response.status_code == 200, (path, body, response.text)
                ran += 1
    assert ran > 20


def test_a_long_example_is_left_out(served: RunningGateway) -> None:
    body = document(served)["paths"]["/v1/models/large:predict"]["post"]["requestBody"]
    assert "examples" not in body["content"]["application/json"]


def test_operations_and_schemas_have_names_of_their_own(tmp_path: Path) -> None:
    for name in ("m", "m 3", "m_3", "m-3"):
        write_identity_model(tmp_path / name / "3", TensorProto.FLOAT, ["N"])
    with running_gateway(tmp_path) as gateway:
        found = document(gateway)
    names = [operation["operationId"] for methods in found["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names)) == 11 + 4 * 2 * 8
    assert len([name for name in found["components"]["schemas"] if name.endswith("-predict")]) == 4


def test_the_document_follows_versions_as_they_come_and_go(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path) as gateway:
        assert "/versions/1:predict" in model_paths(gateway, "brightness")
        write_bundle(tmp_path / "brightness" / "2")
        write_regression(tmp_path / "same" / "1")
        wait_until(lambda: "/versions/2:predict" in model_paths(gateway, "brightness"))
        wait_until(lambda: "/versions/1:predict" not in model_paths(gateway, "brightness"))
        wait_until(lambda: ":predict" in model_paths(gateway, "same"))


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_pages_name_no_other_host(path: str, served: RunningGateway) -> None:
    response = served.rest.get(path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert re.findall(r"(?:https?:)?//[a-z0-9]", response.text) == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/docs", ["/v1/models/brightness:classify", "Tensors in, tensors out"]),
        ("/", ["brightness", "2 × 2 pixels, in grayscale"]),
    ],
)
def test_a_browser_without_a_network_shows_the_pages(
    path: str, shown: list[str], served: RunningGateway, tmp_path: Path
) -> None:
    assert CHROMIUM is not None
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    limits = [offline, f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", "--dump-dom"]
    run = subprocess.run(
        [CHROMIUM, *flags, *limits, served.rest_url + path], capture_output=True, text=True, timeout=300, check=True
    )
    drawn = run.stdout.partition("<script>")[0]
    assert all(text in drawn for text in shown), drawn[-2000:]
