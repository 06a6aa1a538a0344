"""What happens to a request before it is read, and to an answer before it leaves."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from serving.client_limits import MAX_CONCURRENT_STREAMS
from tests.support.gateway import RunningGateway
from tests.support.hostile.raw import Address, connection, read_to_end, send
from tests.support.image_files import file_of, gradient
from tests.support.tfs import predict_request

PREDICT = "/v1/models/brightness:predict"
BODY = json.dumps({"instances": [[[10, 20], [30, 40]]]}).encode()


def raw_get(gateway: RunningGateway, path: str) -> httpx.Response:
    url = httpx.URL(gateway.rest_url, raw_path=path.encode())
    return gateway.rest.get(url)


@pytest.mark.parametrize(
    "path",
    ["/%FF", "/v1/models/%ff", "/%C0%80", "/%ED%A0%80", "/%F4%90%80%80", "/%E4%B8", "/%80", "/a%FFb", "/%zz", "/%"],
)
def test_a_path_that_is_no_utf8_is_refused_in_a_sentence(path: str, gateway: RunningGateway) -> None:
    response = raw_get(gateway, path)
    assert response.status_code == 400
    assert response.json() == {"error": f"Malformed request: the path is not percent-encoded UTF-8: {path}"}


@pytest.mark.parametrize(
    "name", ["%C3%A9", "%E4%B8%AD", "%F0%9F%98%80", "%41", "a-b_c.d~e", "%ED%9F%BF", "%F4%8F%BF%BF"]
)
def test_any_other_path_reaches_the_application(name: str, gateway: RunningGateway) -> None:
    response = raw_get(gateway, f"/v1/models/{name}")
    assert response.status_code == 404
    assert response.json()["error"].startswith("Could not find any versions of model ")


def test_several_hosts_are_refused_in_a_sentence(gateway: RunningGateway) -> None:
    request = b"GET /healthz HTTP/1.1\r\nhost: one\r\nhost: two\r\nconnection: close\r\n\r\n"
    with connection(Address("127.0.0.1", gateway.process.addresses.rest_port)) as opened:
        send(opened, request)
        answer = read_to_end(opened)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"error":"Malformed request: expected one host, received one,two"}')


def test_a_grpc_client_of_several_addresses_is_answered(gateway: RunningGateway) -> None:
    """It calls its whole list of addresses the host."""
    with grpc.insecure_channel(f"ipv4:{gateway.grpc_address},{gateway.grpc_address}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8))
        assert stub.Predict(request, timeout=60.0).model_spec.name == "brightness"


def test_calls_beyond_those_of_a_connection_wait_for_one_that_ends(gateway: RunningGateway) -> None:
    request = predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8))
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        calls = [stub.Predict.future(request, timeout=60.0) for _ in range(3 * MAX_CONCURRENT_STREAMS)]
        assert {call.result().model_spec.name for call in calls} == {"brightness"}


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_inflated(
    encoding: str, compress: Callable[[bytes], bytes], gateway: RunningGateway
) -> None:
    response = gateway.rest.post(PREDICT, content=compress(BODY), headers={"content-encoding": encoding})
    assert response.json() == {"predictions": [[100.0, 40.0, 160.0]]}


def test_an_image_may_be_compressed(gateway: RunningGateway) -> None:
    image = file_of(gradient(), "PNG")
    headers = {"content-type": "image/png", "content-encoding": "gzip"}
    path = PREDICT.replace("predict", "classify")
    compressed = gateway.rest.post(path, content=gzip.compress(image), headers=headers)
    assert compressed.status_code == 200
    assert compressed.json() == gateway.rest.post(path, content=image).json()


def test_what_no_encoding_is_called_after_is_read_as_it_stands(gateway: RunningGateway) -> None:
    response = gateway.rest.post(PREDICT, content=BODY, headers={"content-encoding": "utf-8"})
    assert response.json() == {"predictions": [[100.0, 40.0, 160.0]]}


def test_a_gzip_body_may_be_as_empty_as_black_images_are(gateway: RunningGateway) -> None:
    rows = [[[0, 0], [0, 0]]] * 4_000
    body = gzip.compress(json.dumps({"instances": rows}, separators=(",", ":")).encode())
    response = gateway.rest.post(PREDICT, content=body, headers={"content-encoding": "gzip"})
    assert response.json() == {"predictions": [[0.0, 0.0, 0.0]] * 4_000}


def test_a_gzip_body_is_bounded_by_what_it_inflates_to(gateway: RunningGateway) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    response = gateway.rest.post(PREDICT, content=bomb, headers={"content-encoding": "gzip"})
    assert response.status_code == 413


def test_a_body_that_only_says_it_is_gzip_is_refused(gateway: RunningGateway) -> None:
    response = gateway.rest.post(PREDICT, content=BODY, headers={"content-encoding": "gzip"})
    assert response.status_code == 400
    assert gateway.rest.post(PREDICT, content=BODY).status_code == 200


@pytest.mark.parametrize(("rows", "encoding"), [(5, None), (4_000, "gzip")])
def test_large_answers_are_compressed_for_those_who_accept_that(
    rows: int, encoding: str | None, gateway: RunningGateway
) -> None:
    body = {"instances": [[[1, 2], [3, 4]]] * rows}
    plain = gateway.rest.post(PREDICT, json=body, headers={"accept-encoding": "identity"})
    accepting = gateway.rest.post(PREDICT, json=body, headers={"accept-encoding": "gzip"})
    assert plain.headers.get("content-encoding") is None
    assert accepting.headers.get("content-encoding") == encoding
    assert accepting.json() == plain.json()
