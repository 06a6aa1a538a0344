"""Requests that never reach the application. Sources: RFC 9112, sections 3 and 7, and RFC 9110, section 7.2."""

from __future__ import annotations

from typing import Any

import pytest

from serving.client_limits import MAX_HEADERS
from serving.http.requests import MAX_HEADERS_BYTES
from tests.serving.http.stand import Echo
from tests.serving.http1.stand import CHUNKED, GET, Client, Whole, chunked, head, is_refused, post, refusal_of

GET_1_1 = b"GET / HTTP/1.1"


async def test_a_small_chunk_may_have_little_beside_it() -> None:
    client = Client()
    client.say(CHUNKED)
    for _ in range(400):
        client.say(b"1;" + b"e" * 200 + b"\r\nx\r\n")
        await client.settle()
    answer = await client.answer()
    assert (answer.status, client.state) == (400, "ended")
    assert "chunks with too much beside what is in them" in answer.error
    assert client.app.left == 1


async def test_chunks_of_a_byte_are_taken() -> None:
    client = Client()
    client.say(CHUNKED)
    for _ in range(100):
        client.say(b"1\r\nx\r\n" * 1000)
        await client.settle()
    client.say(chunked())
    assert (await client.answer()).body == b"x" * 100_000


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS, 200), (MAX_HEADERS + 2, 431)])
async def test_there_are_only_so_many_trailers(count: int, status: int) -> None:
    client = Client()
    client.say(CHUNKED, chunked(b"x")[:-2], b"x: y\r\n" * count)
    client.say(b"\r\n")
    assert (await client.answer()).status == status


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS, 200), (MAX_HEADERS + 1, 431)])
async def test_there_are_only_so_many_headers(count: int, status: int) -> None:
    client = Client()
    answer = await client.ask(head(*(count - 1) * [b"x: y"], first=GET_1_1))
    assert answer.status == status
    if status == 431:
        await is_refused(client, 431)
        assert answer.error.startswith("expected at most 100 headers, received more")


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)])
async def test_headers_are_only_so_long(more: int, status: int) -> None:
    client = Client()
    value = b"v" * (MAX_HEADERS_BYTES - len(b"hostgateway" + b"x") + more)
    assert (await client.ask(head(b"x: " + value, first=GET_1_1))).status == status


@pytest.mark.parametrize(
    "said", [b"GET /" + b"a" * 70_000, GET[:-2] + b"x: " + b"y" * 70_000, GET[:-2] + b"x: y\r\n" * 12_000]
)
@pytest.mark.parametrize("size", [2**20, 10_000])
async def test_a_head_that_is_too_long_is_refused_before_its_end(said: bytes, size: int) -> None:
    client = Client()
    for at in range(0, len(said), size):
        client.say(said[at : at + size])
    await is_refused(client, 431)


@pytest.mark.parametrize(
    ("first", "status", "text"),
    [
        (b"GET * HTTP/1.1", 404, "expected a path that begins with /, received *"),
        (b"OPTIONS * HTTP/1.1", 404, "expected a path that begins with /, received *"),
        (b"GET /%FF HTTP/1.1", 400, "Malformed request: the path is not percent-encoded UTF-8: /%FF"),
        (b"GET /%2 HTTP/1.1", 400, "Malformed request: the path is not percent-encoded UTF-8: /%2"),
    ],
)
async def test_a_target_that_is_no_path_is_refused(first: bytes, status: int, text: str) -> None:
    client = Client()
    assert (await client.ask(head(first=first))).error == text
    assert (await client.answer()).status == status
    client.say(GET)
    assert (client.app.scopes, client.connection.requests) == ([], 1)


@pytest.mark.parametrize("lines", [[], [b"x: y"]])
async def test_a_request_of_no_host_is_refused(lines: list[bytes]) -> None:
    assert "host" in await refusal_of(head(*lines, first=GET_1_1, host=b""))


@pytest.mark.parametrize("first", [GET_1_1, b"GET / HTTP/1.0"])
async def test_a_request_of_several_hosts_is_refused(first: bytes) -> None:
    assert "one host" in await refusal_of(head(b"host: other", first=first))
    assert "one host" in await refusal_of(head(host=b"host: a, b", first=first))


@pytest.mark.parametrize(
    "said",
    [
        head(b"host: other", first=b"GET http://gateway/ HTTP/1.1"),
        head(b"host: other", b"content-type: application/grpc", first=b"POST / HTTP/1.1"),
    ],
    ids=["absolute", "gRPC"],
)
async def test_several_hosts_are_refused_whatever_else_is_asked(said: bytes) -> None:
    await refusal_of(said)


@pytest.mark.parametrize(
    ("value", "first"),
    [
        (b"chunked", b"POST / HTTP/1.0"),
        (b"gzip, chunked", b"POST / HTTP/1.1"),
    ],
)
async def test_only_plain_chunks_are_read_and_in_http_1_1(value: bytes, first: bytes) -> None:
    client = Client()
    answer = await client.ask(head(b"transfer-encoding: " + value, first=first), chunked(b"x"))
    await is_refused(client, 501)
    assert answer.error == f"transfer-encoding: expected chunked, in HTTP/1.1, received {value.decode()}"


async def test_the_refusal_of_a_head_request_has_no_body() -> None:
    client = Client()
    client.methods = ["HEAD"]
    answer = await client.ask(head(first=b"HEAD /%FF HTTP/1.1"))
    assert (answer.status, answer.body, answer.is_whole, client.state) == (400, b"", True, "ended")
    assert client.transport.written.endswith(b"\r\n\r\n")


async def test_a_refused_grpc_web_call_has_its_status_in_its_headers() -> None:
    client = Client()
    answer = await client.ask(post(b"x", b"content-type: application/grpc-web", first=b"POST /%FF HTTP/1.1"))
    assert (answer.status, answer.body, answer.is_whole, answer.closes) == (200, b"", True, True)
    assert answer.headers[b"content-type"] == b"application/grpc-web"
    assert answer.headers[b"grpc-status"] == b"13"


async def test_a_refusal_behind_an_answer_that_has_begun_is_an_end_without_one() -> None:
    class Early(Echo):
        failed = False

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            try:
                await receive()
            finally:
                self.failed = True

    client = Client(Early())
    client.say(CHUNKED)
    await client.settle()
    client.say(b"zz\r\n")
    await client.settle()
    assert (client.state, client.app.failed) == ("aborted", False)
    client.end()
    await client.settle()
    assert client.app.failed
    assert not (await client.answer()).is_whole


async def test_a_refused_request_does_not_end_who_answers_well() -> None:
    client = Client(Whole())
    client.say(GET)
    assert (await client.answer()).body == b"whole"
    client.say(b"nonsense\r\n\r\n")
    assert [answer.status for answer in await client.answers()] == [200, 400]
