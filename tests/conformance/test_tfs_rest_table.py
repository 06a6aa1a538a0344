"""TensorFlow Serving's REST API as a table: the files of rest/ hold one request and its whole answer a case.

A case has `request` (method and path), `body`, `status`, and one of `answer` (the exact text), `document` (what it
parses to), `error` (the text in `{"error": …}`) and `error_start`. `gzip` compresses the body; `content_type` and
`content_encoding` are sent as they are.
"""

from __future__ import annotations

import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import RunningGateway

CASES = {
    f"{path.stem}: {case['name']}": case
    for path in sorted((Path(__file__).parent / "rest").glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
}


def test_the_table_has_at_least_150_cases_of_different_names() -> None:
    written = sum(
        path.read_text(encoding="utf-8").count("[[case]]") for path in (Path(__file__).parent / "rest").glob("*.toml")
    )
    assert len(CASES) == written >= 150


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_the_tables(name: str, gateway: RunningGateway) -> None:
    case = CASES[name]
    method, path = case["request"].split(" ")
    content = case["body"].encode() if "body" in case else None
    response = gateway.rest.request(
        method, path, content=gzip.compress(content) if case.get("gzip") else content, headers=headers_of(case)
    )

    assert response.status_code == case["status"], response.text
    assert response.headers["content-type"] == "application/json"
    if "answer" in case:
        assert response.text == case["answer"]
    elif "document" in case:
        assert response.json() == json.loads(case["document"])
    elif "error" in case:
        assert response.json() == {"error": case["error"]}
    else:
        assert list(response.json()) == ["error"]
        assert response.json()["error"].startswith(case["error_start"])


def headers_of(case: dict[str, Any]) -> dict[str, str]:
    headers = {"content-encoding": "gzip"} if case.get("gzip") else {}
    for key in ("content_type", "content_encoding"):
        if key in case:
            headers[key.replace("_", "-")] = case[key]
    return headers
