"""What a gateway process answers over HTTP beside TensorFlow Serving's REST API, which is in tests/conformance."""

from __future__ import annotations

import io
import json
import struct
import urllib.error
import urllib.request
import zlib
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.gateway import RunningGateway

PREDICT = "/v1/models/brightness:predict"
CLASSIFY = "/v1/models/brightness:classify"
ROW = [[10, 20], [30, 40]]
SCORES = [100.0, 40.0, 160.0]


def png(pixels: Any = ROW) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.uint8(pixels)).save(file, "PNG")
    return file.getvalue()


def truncated_jpeg() -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


def png_bomb(side: int) -> bytes:
    """A PNG whose header announces `side` x `side` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


class Case(NamedTuple):
    """A request and the whole answer to it."""

    method: str
    path: str
    body: Any
    status: int
    answer: Any


ANSWERS = {
    "rows": Case("POST", PREDICT, {"instances": [ROW]}, 200, {"predictions": [SCORES]}),
    "liveness": Case("GET", "/healthz", None, 200, {"live": True}),
    "readiness": Case("GET", "/readyz", None, 200, {"ready": True, "reasons": []}),
}

REFUSALS = {
    "an unknown path": Case(
        "GET",
        "/favicon.ico",
        None,
        404,
        "Not found: GET /favicon.ico; "
        "known: /, /docs, /openapi.json, /healthz, /readyz, /in-service, /status, /metrics, "
        "/monitoring/prometheus/metrics, /v1/models, /v1/models/NAME, /v2",
    ),
    "a wrong method": Case("DELETE", "/metrics", None, 405, "/metrics: expected GET, received DELETE"),
    "a POST of a page": Case("POST", "/v1/models", {}, 405, "/v1/models: expected GET, received POST"),
    "JSON sent to a gRPC method": Case(
        "POST",
        "/tensorflow.serving.PredictionService/Predict",
        {},
        415,
        "/tensorflow.serving.PredictionService/Predict: expected POST with content-type application/grpc over HTTP/2",
    ),
    "a body over the limit": Case(
        "POST", PREDICT, b" " * 1_000_001, 413, "request body: expected at most 1,000,000 bytes, received more"
    ),
}

BAD_IMAGES = {
    "text": (b"not an image", 400, "not an image: expected PNG, JPEG, WEBP, GIF, BMP, received 12 bytes"),
    "an empty body": (b"", 400, "not an image: expected PNG, JPEG, WEBP, GIF, BMP, received 0 bytes"),
    "a truncated JPEG": (truncated_jpeg(), 400, "the image is damaged and cannot be decoded: "),
    "a PNG bomb": (png_bomb(20_000), 400, "the image is too large: expected at most 50,000,000 pixels"),
    "a PNG just over the limit": (png_bomb(7_072), 400, "the image is too large: expected at most 50,000,000 pixels"),
    "a body over the limit": (b"x" * 1_000_001, 413, "request body: expected at most 1,000,000 bytes"),
}


def send(client: httpx.Client, case: Case) -> httpx.Response:
    body = case.body if case.body is None or isinstance(case.body, bytes) else json.dumps(case.body).encode()
    return client.request(case.method, case.path, content=body)


@pytest.mark.parametrize("case", ANSWERS)
def test_rest_answers(case: str, gateway: RunningGateway) -> None:
    response = send(gateway.rest, ANSWERS[case])
    assert (response.status_code, response.json()) == (ANSWERS[case].status, ANSWERS[case].answer)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("case", REFUSALS)
def test_rest_refuses_in_a_sentence_and_goes_on(case: str, gateway: RunningGateway) -> None:
    response = send(gateway.rest, REFUSALS[case])
    assert (response.status_code, response.json()) == (REFUSALS[case].status, {"error": REFUSALS[case].answer})
    assert send(gateway.rest, ANSWERS["rows"]).status_code == 200


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_a_bad_image_is_refused_in_a_sentence(case: str, gateway: RunningGateway) -> None:
    body, status, start = BAD_IMAGES[case]
    response = gateway.rest.post(CLASSIFY, content=body, headers={"content-type": "image/png"})
    assert response.status_code == status
    assert response.json()["error"].startswith(start)
    assert send(gateway.rest, ANSWERS["rows"]).status_code == 200


def test_an_image_is_answered_with_labels_best_first(gateway: RunningGateway) -> None:
    response = gateway.rest.post(CLASSIFY, params={"top_k": 2}, content=png(), headers={"content-type": "image/png"})
    assert response.json() == {
        "model_spec": {"name": "brightness", "version": "4"},
        "classes": [
            {"index": 2, "label": "two", "probability": 160.0},
            {"index": 0, "label": "zero", "probability": 100.0},
        ],
    }


def test_an_image_of_another_size_is_resized(gateway: RunningGateway) -> None:
    large = np.kron(np.uint8(ROW), np.ones((8, 8), np.uint8))
    response = gateway.rest.post(CLASSIFY, content=png(large), headers={"content-type": "image/png"})
    assert [found["label"] for found in response.json()["classes"]] == ["two", "zero", "one"]


@pytest.mark.parametrize("top_k", ["0", "-1", "x", "", "1" * 20])
def test_a_wrong_top_k_is_refused(top_k: str, gateway: RunningGateway) -> None:
    response = gateway.rest.post(
        CLASSIFY, params={"top_k": top_k}, content=png(), headers={"content-type": "image/png"}
    )
    assert response.status_code == 400
    assert response.json() == {"error": f"top_k: expected a whole number from 1, received {top_k[:20]!r}"}


def test_a_client_that_sends_all_before_it_reads_gets_the_sentence_too(gateway: RunningGateway) -> None:
    request = urllib.request.Request(gateway.rest_url + PREDICT, data=b" " * 60_000_000)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
    with refused.value as answer:
        assert answer.code == 413
        assert json.load(answer) == {"error": "request body: expected at most 1,000,000 bytes, received more"}


def test_a_model_without_image_preprocessing_says_so(gateway: RunningGateway) -> None:
    response = gateway.rest.post("/v1/models/pair:classify", content=png(), headers={"content-type": "image/png"})
    assert response.status_code == 501
    assert "model pair has no image preprocessing in its manifest" in response.json()["error"]


def test_the_model_list_names_every_model(gateway: RunningGateway) -> None:
    assert [model["name"] for model in gateway.rest.get("/v1/models").json()["models"]] == [
        "brightness",
        "pair",
        "text",
    ]


def test_metrics_count_requests_batches_and_states(gateway: RunningGateway) -> None:
    send(gateway.rest, ANSWERS["rows"])
    text = gateway.rest.get("/metrics").text
    assert 'atelier_requests_total{api="tfs_rest",model_name="brightness",outcome="ok"}' in text
    assert 'atelier_batch_rows_count{model_name="brightness",version="4"}' in text
    assert 'atelier_version_state{model_name="brightness",state="AVAILABLE",version="4"} 1.0' in text


def test_unknown_model_names_do_not_become_label_values(gateway: RunningGateway) -> None:
    gateway.rest.post("/v1/models/invented:predict", json={"instances": [ROW]})
    assert "invented" not in gateway.rest.get("/metrics").text


def test_the_page_is_one_html_file(gateway: RunningGateway) -> None:
    response = gateway.rest.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<canvas" in response.text


def test_both_ports_speak_both_protocols(gateway: RunningGateway) -> None:
    response = httpx.get(f"http://{gateway.grpc_address}/readyz", timeout=60.0)
    assert response.json()["ready"] is True
