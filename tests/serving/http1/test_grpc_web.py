"""gRPC-Web over HTTP/1.1, as browsers without HTTP/2 speak it, and plain gRPC, which they cannot."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.serving.http.stand import Echo
from tests.serving.http1.stand import Client, chunked, head, post

WEB, TEXT = b"application/grpc-web+proto", b"application/grpc-web-text"
MESSAGE = b"\0\0\0\0\x05hello"
TRAILERS = b"\x80\0\0\0\x0fgrpc-status:0\r\n"


class Grpc(Echo):
    """Echoes a call as an application does that knows gRPC."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(body)
        headers = [(b"content-type", b"application/grpc")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
        await send({"type": "http.response.body", "body": body})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})


@pytest.mark.parametrize("content_type", [WEB, TEXT])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_call_of_grpc_web_is_answered(content_type: bytes, is_chunked: bool) -> None:
    encode = base64.b64encode if content_type == TEXT else bytes
    line = b"content-type: " + content_type
    body = encode(MESSAGE)
    said = head(line, b"transfer-encoding: chunked") + chunked(body[:5], body[5:]) if is_chunked else post(body, line)
    client = Client(Grpc())
    answer = await client.ask(said)
    (scope,) = client.app.scopes
    assert (scope["http_version"], dict(scope["headers"])[b"content-type"]) == ("2", b"application/grpc")
    assert b"content-length" not in dict(scope["headers"])
    assert (client.app.bodies, answer.status, answer.is_whole) == ([MESSAGE], 200, True)
    assert answer.headers[b"content-type"] == content_type
    assert answer.headers[b"transfer-encoding"] == b"chunked"
    assert answer.body == encode(MESSAGE) + encode(TRAILERS)
    assert client.state == "open"


async def test_a_call_of_http_1_0_ends_with_the_connection() -> None:
    client = Client(Grpc())
    answer = await client.ask(post(MESSAGE, b"content-type: " + WEB, first=b"POST /a HTTP/1.0"))
    assert (answer.body, answer.is_whole, client.state) == (MESSAGE + TRAILERS, True, "closed")


async def test_a_grpc_content_type_means_nothing_over_http_1() -> None:
    client = Client()
    answer = await client.ask(post(MESSAGE, b"content-type: application/grpc"))
    assert (answer.status, answer.body, client.app.whole) == (200, MESSAGE, [])
    assert client.app.scopes[0]["http_version"] == "1.1"
