"""What gRPC leaves to a client: its headers, how its messages lie in frames, and which port it asks."""

from __future__ import annotations

import gzip
import json
import zlib

import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from tests.support.gateway import RunningGateway
from tests.support.raw_grpc import RawAnswer, framed, raw_call
from tests.support.tfs import outputs, predict_request

PREDICT = "/tensorflow.serving.PredictionService/Predict"
VALUES = np.float32([[1.5, -2.0]])
MESSAGE = predict_request("echo_float32", x=VALUES).SerializeToString()
OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNIMPLEMENTED = "0", "3", "4", "12"


def is_answered(answer: RawAnswer) -> bool:
    """Whether the call was answered with its own values."""
    if answer.fields["grpc-status"] != OK:
        return False
    response = predict_pb2.PredictResponse.FromString(answer.body[5:])
    return bool(np.array_equal(outputs(response)["y"], VALUES))


@pytest.mark.parametrize(
    "changed",
    [
        {"content-type": "application/grpc+proto"},
        {"content-type": "application/grpc; charset=utf-8"},
        {":scheme": "https"},
        {"grpc-encoding": "identity"},
        {"grpc-encoding": "gzip"},
        {"grpc-encoding": "snappy"},
        {"grpc-accept-encoding": "identity"},
        {"grpc-timeout": "99999999H"},
        {"grpc-timeout": "9999999M"},
        {"grpc-timeout": "60S"},
        {"grpc-timeout": "60000m"},
        {"grpc-timeout": "60000000u"},
        {"x-trace-bin": "!!! no base64"},
        {"user-agent": "grpc-go/1.60"},
        {"content-length": str(len(framed(MESSAGE)))},
    ],
    ids=str,
)
def test_headers_that_ask_for_nothing_else_change_nothing(
    changed: dict[str, str | None], gateway: RunningGateway
) -> None:
    assert is_answered(raw_call(gateway.grpc_address, PREDICT, changed, [framed(MESSAGE)]))


@pytest.mark.parametrize(
    "pieces",
    [[framed(MESSAGE)[at : at + 1] for at in range(len(framed(MESSAGE)))], [b"", framed(MESSAGE), b""]],
    ids=["byte by byte", "with empty frames"],
)
def test_a_message_may_come_in_any_pieces(pieces: list[bytes], gateway: RunningGateway) -> None:
    assert is_answered(raw_call(gateway.grpc_address, PREDICT, {}, pieces))


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_message_that_says_so_is_inflated(encoding: str, compress: object, gateway: RunningGateway) -> None:
    body = framed(compress(MESSAGE), 1)  # type: ignore[operator]
    assert is_answered(raw_call(gateway.grpc_address, PREDICT, {"grpc-encoding": encoding}, [body]))


@pytest.mark.parametrize(
    ("changed", "body", "status", "text"),
    [
        ({"grpc-timeout": "0S"}, framed(MESSAGE), DEADLINE_EXCEEDED, "the deadline had passed"),
        ({"grpc-timeout": "1.5S"}, framed(MESSAGE), INVALID_ARGUMENT, "grpc-timeout: expected up to 8 digits and one"),
        ({"grpc-timeout": "60s"}, framed(MESSAGE), INVALID_ARGUMENT, "grpc-timeout: expected up to 8 digits and one"),
        ({}, framed(b"?", 1), UNIMPLEMENTED, "a compressed gRPC message: expected grpc-encoding gzip or deflate, rec"),
        ({"grpc-encoding": "identity"}, framed(b"?", 1), UNIMPLEMENTED, "a compressed gRPC message: expected grpc-enc"),
        ({}, framed(MESSAGE, 2), INVALID_ARGUMENT, "gRPC frame header: expected 0, or 1 for a compressed message, re"),
        ({}, b"", INVALID_ARGUMENT, "expected one gRPC message, received a body of 0 bytes without a frame header"),
        ({}, framed(MESSAGE) * 2, INVALID_ARGUMENT, "expected one gRPC message: its frame announces"),
        ({}, framed(MESSAGE)[:-1], INVALID_ARGUMENT, "expected one gRPC message: its frame announces"),
        ({}, framed(b""), INVALID_ARGUMENT, "Missing ModelSpec"),
    ],
)
def test_what_is_no_call_is_told_so_in_trailers_only(
    changed: dict[str, str | None], body: bytes, status: str, text: str, gateway: RunningGateway
) -> None:
    answer = raw_call(gateway.grpc_address, PREDICT, changed, [body])
    assert (answer.fields[":status"], answer.fields["grpc-status"], answer.body) == ("200", status, b"")
    assert answer.fields["grpc-message"].startswith(text)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", None])
def test_what_does_not_say_that_it_is_grpc_is_told_to(content_type: str | None, gateway: RunningGateway) -> None:
    answer = raw_call(gateway.grpc_address, PREDICT, {"content-type": content_type}, [framed(MESSAGE)])
    assert answer.fields[":status"] == "415"
    assert "expected POST with content-type application/grpc" in json.loads(answer.body)["error"]


def test_a_call_that_does_not_say_that_it_takes_trailers_gets_its_status_all_the_same(gateway: RunningGateway) -> None:
    assert is_answered(raw_call(gateway.grpc_address, PREDICT, {"te": None}, [framed(MESSAGE)]))


def test_each_port_speaks_the_others_protocol(gateway: RunningGateway) -> None:
    rest_address = gateway.rest_url.removeprefix("http://")
    assert is_answered(raw_call(rest_address, PREDICT, {}, [framed(MESSAGE)]))
    changed, body = {"content-type": "application/json", "te": None}, b'{"instances": [[1.5, -2.0]]}'
    answer = raw_call(gateway.grpc_address, "/v1/models/echo_float32:predict", changed, [body])
    assert (answer.fields[":status"], answer.body) == ("200", b'{"predictions":[[1.5,-2.0]]}')
