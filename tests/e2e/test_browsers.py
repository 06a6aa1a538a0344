"""What pages of other sites can do from a browser: gRPC-Web always, CORS for the sites that were named."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tensorflow_serving.apis import predict_pb2

from serving.wire.grpc_framing import encode_message
from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw_grpc import raw_call
from tests.support.tfs import outputs, predict_request

PREDICT_GRPC = "/tensorflow.serving.PredictionService/Predict"
PREDICT_REST = "/v1/models/brightness:predict"
SHOP, BODY = "https://shop.example", {"instances": [[[10, 20], [30, 40]]]}
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
TRAILER_FLAG = 0x80


@pytest.fixture(scope="module")
def open_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that pages of one site may call."""
    models = tmp_path_factory.mktemp("models")
    write_bundle(models / "brightness" / "1")
    with running_gateway(models, cors_origins=(SHOP,)) as running:
        yield running


def web_frames(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    """Messages and trailers of a gRPC-Web answer."""
    messages, trailers = [], {}
    while body:
        flag, length = body[0], int.from_bytes(body[1:5], "big")
        content, body = body[5 : 5 + length], body[5 + length :]
        if flag & TRAILER_FLAG:
            trailers = dict(line.split(":", 1) for line in content.decode().splitlines())
        else:
            messages.append(content)
    return messages, trailers


@pytest.mark.parametrize("text", [False, True], ids=["binary", "base64"])
def test_grpc_web_predicts(text: bool, gateway: RunningGateway) -> None:
    request = predict_request("pair", a=[1.0], b=[2.0]).SerializeToString()
    content_type = "application/grpc-web-text" if text else "application/grpc-web+proto"
    framed = encode_message(request)
    response = gateway.rest.post(
        PREDICT_GRPC,
        content=base64.b64encode(framed) if text else framed,
        headers={"content-type": content_type, "accept": content_type, "x-grpc-web": "1"},
    )
    assert response.status_code == 200
    body = b"".join(map(base64.b64decode, _base64_pieces(response.text))) if text else response.content
    (message,), trailers = web_frames(body)
    assert trailers["grpc-status"].strip() == "0"
    assert outputs(predict_pb2.PredictResponse.FromString(message))["sum"].tolist() == [3.0]


@pytest.mark.parametrize("text", [False, True], ids=["binary", "base64"])
def test_grpc_web_predicts_behind_a_proxy_that_speaks_http2(text: bool, gateway: RunningGateway) -> None:
    framed = encode_message(predict_request("pair", a=[1.0], b=[2.0]).SerializeToString())
    content_type = "application/grpc-web-text" if text else "application/grpc-web+proto"
    sent = [framed[:7], framed[7:]]
    pieces = [base64.b64encode(piece) for piece in sent] if text else sent
    answer = raw_call(gateway.grpc_address, PREDICT_GRPC, {"content-type": content_type, "te": None}, pieces)
    assert answer.fields["content-type"] == content_type
    body = b"".join(map(base64.b64decode, _base64_pieces(answer.body.decode()))) if text else answer.body
    (message,), trailers = web_frames(body)
    assert trailers["grpc-status"].strip() == "0"
    assert outputs(predict_pb2.PredictResponse.FromString(message))["sum"].tolist() == [3.0]


def test_a_grpc_web_text_that_is_none_is_refused(gateway: RunningGateway) -> None:
    changed = {"content-type": "application/grpc-web-text", "te": None}
    answer = raw_call(gateway.grpc_address, PREDICT_GRPC, changed, [b"no base64!!!"])
    assert answer.fields["grpc-status"] == "3"


def test_grpc_web_tells_an_error(gateway: RunningGateway) -> None:
    response = gateway.rest.post(
        PREDICT_GRPC,
        content=encode_message(predict_request("nobody").SerializeToString()),
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )
    _, trailers = web_frames(response.content)
    status = response.headers.get("grpc-status", trailers.get("grpc-status"))
    assert status is not None
    assert status.strip() == "5"


@pytest.mark.parametrize("path", [PREDICT_REST, PREDICT_GRPC])
def test_a_browser_may_ask_whether_a_named_site_may_call(path: str, open_gateway: RunningGateway) -> None:
    response = open_gateway.rest.options(path, headers={"origin": SHOP, **PREFLIGHT})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == SHOP
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "x-grpc-web" in response.headers["access-control-allow-headers"]


def test_an_answer_may_be_read_by_a_named_site(open_gateway: RunningGateway) -> None:
    response = open_gateway.rest.post(PREDICT_REST, json=BODY, headers={"origin": SHOP})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == SHOP
    assert "grpc-status" in response.headers["access-control-expose-headers"]


def test_why_a_grpc_web_call_failed_may_be_read_by_a_named_site(open_gateway: RunningGateway) -> None:
    response = open_gateway.rest.post(
        PREDICT_GRPC,
        content=encode_message(predict_request("nobody").SerializeToString()),
        headers={"origin": SHOP, "content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )
    told = {name for name in response.headers if name.startswith("grpc-")}
    assert told == {"grpc-status", "grpc-message", "grpc-status-details-bin"}
    assert told <= set(response.headers["access-control-expose-headers"].split(", "))


def test_another_site_may_not(open_gateway: RunningGateway) -> None:
    response = open_gateway.rest.post(PREDICT_REST, json=BODY, headers={"origin": "https://shop.example.evil"})
    assert "access-control-allow-origin" not in response.headers


def test_without_the_setting_no_site_may(gateway: RunningGateway) -> None:
    response = gateway.rest.post(PREDICT_REST, json=BODY, headers={"origin": SHOP})
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers
    assert gateway.rest.options(PREDICT_REST, headers={"origin": SHOP, **PREFLIGHT}).status_code == 400


def test_a_star_means_every_site(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    with running_gateway(tmp_path, cors_origins=("*",)) as gateway:
        response = httpx.post(f"{gateway.rest_url}{PREDICT_REST}", json=BODY, headers={"origin": SHOP}, timeout=60.0)
        assert response.headers["access-control-allow-origin"] in {"*", SHOP}


def _base64_pieces(text: str) -> Iterator[str]:
    """Each frame is encoded, and padded, by itself."""
    start = 0
    for position in range(4, len(text) + 4, 4):
        if text[position - 1 : position] == "=" or position >= len(text):
            yield text[start:position]
            start = position
