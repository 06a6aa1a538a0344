"""Requests that never reach the application. Sources: RFC 9112, sections 2.2, 3, 5 and 6, and RFC 9110, section 7.2."""

from __future__ import annotations

from typing import Any

import pytest

from serving.client_limits import MAX_HEADERS
from serving.http.requests import MAX_HEADERS_BYTES
from tests.serving.http.stand import Echo
from tests.serving.http1.stand import CHUNKED, GET, Client, Whole, chunked, head, post
from tests.support.hostile.forms import BODY, FORMS, SMUGGLED

GET_1_1 = b"GET / HTTP/1.1"
STRICTER = {
    "a folded header": 400,
    "a bare CR in a header": 400,
    "bare LFs": 400,
    "two encodings": 400,
    "an unknown encoding": 400,
    "chunked, and then none": 400,
    "HTTP/3.0": 400,
    "the head of HTTP/2, and then none": 400,
}
"""What Envoy answered otherwise, or what does not come so far, as it begins like HTTP/2."""


async def refusal_of(*said: bytes) -> str:
    """The text of the only answer, 400 unless the test says so."""
    client = Client()
    answer = await client.ask(*said)
    await is_refused(client, 400)
    return answer.error


async def is_refused(client: Client, status: int) -> None:
    """It has its answer, and the connection ends without having asked the application for anything."""
    answer = await client.answer()
    assert (answer.status, answer.is_whole, answer.closes, client.state) == (status, True, True, "ended")
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.headers.keys() >= {b"date", b"server", b"content-length"}
    assert answer.error
    assert (client.app.scopes, client.connection.in_flight) == ([], 0)
    client.say(GET)
    assert len(await client.answers()) == 1


async def play(name: str, size: int) -> None:
    said, expected = FORMS[name]
    client = Client()
    for at in range(0, len(said), size):
        client.say(said[at : at + size])
    answer = await client.answer()
    assert answer.status == (STRICTER.get(name) or int(expected))
    if answer.status == 200:
        assert client.app.bodies == [BODY if b"POST" in said else b""]
    else:
        assert client.app.bodies == []
        assert answer.error
    assert not any(scope["query_string"] for scope in client.app.scopes)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [2**21, 1000])
async def test_a_form_that_two_servers_might_read_differently_is_read_in_one_way(name: str, size: int) -> None:
    await play(name, size)


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if len(form.request) < 10_000])
async def test_a_form_is_read_in_the_same_way_byte_by_byte(name: str) -> None:
    await play(name, 1)


@pytest.mark.parametrize(
    "lines",
    [
        [b"x : y"],
        [b" x: y"],
        [b"x\0: y"],
        [b"x: \x01"],
        [b"x: \x7f"],
        [b"(x): y"],
        [b": y"],
        [b"no colon"],
        [b"x: y\rz: w"],
        [b"x: y\n z"],
        [b"x: y\r\n\tz"],
        [b"content-length: 1", b"content-length: 1"],
        [b"content-length: 1", b"content-length: 2"],
        [b"content-length: 1, 1"],
        [b"content-length: -1"],
        [b"content-length: +1"],
        [b"content-length: 0x1"],
        [b"content-length: 1 1"],
        [b"content-length:"],
        [b"content-length: " + b"9" * 19],
        [b"content-length: 1", b"transfer-encoding: chunked"],
        [b"transfer-encoding: chunked", b"content-length: 1"],
        [b"transfer-encoding: chunked", b"transfer-encoding: chunked"],
        [b"transfer-encoding: chunked, chunked"],
        [b"transfer-encoding: identity"],
        [b"transfer-encoding: gzip"],
        [b"transfer-encoding: chunked;q=1"],
        [b"transfer-encoding: \x0bchunked"],
        [b'transfer-encoding: "chunked"'],
        [b"transfer-encoding:"],
    ],
    ids=lambda lines: " ".join(map(repr, lines))[:50],
)
async def test_headers_that_no_request_may_have_are_refused(lines: list[bytes]) -> None:
    assert (await refusal_of(head(*lines), b"1\r\nx\r\n0\r\n\r\n", SMUGGLED)).startswith("Malformed request: ")


@pytest.mark.parametrize(
    "first",
    [
        b"GET /",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"GET / HTTP/3.0",
        b"GET / HTTP/1.1 ",
        b"GET / http/1.1",
        b"GET / HTTPS/1.1",
        b"GET  HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
        b"get / HTTP/1.1",
        b"NONSENSE / HTTP/1.1",
        b" GET / HTTP/1.1",
        b"CONNECT gateway:80 HTTP/1.1",
        b"PRI * HTTP/2.0",
    ],
)
async def test_first_lines_that_no_request_may_have_are_refused(first: bytes) -> None:
    assert (await refusal_of(head(first=first), SMUGGLED)).startswith("Malformed request: ")


@pytest.mark.parametrize(
    "said",
    [
        GET.replace(b"\r\n", b"\n"),
        GET.replace(b"\r\n", b"\r"),
        GET.replace(b"1.1\r\n", b"1.1\n"),
        GET.replace(b"1.1\r\n", b"1.1\r"),
        GET.replace(b"1.1\r\n", b"1.1\r\r\n"),
        GET.replace(b"gateway\r\n", b"gateway\n"),
        GET.replace(b"gateway\r\n", b"gateway\r"),
        GET.replace(b"gateway\r\n", b"gateway\r\r\n"),
        GET[:-2] + b"\n",
        GET[:-2] + b"\r\r\n",
    ],
)
async def test_lines_that_end_otherwise_are_refused(said: bytes) -> None:
    assert (await refusal_of(said, SMUGGLED)).startswith("Malformed request: ")


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"0x1\r\nx\r\n0\r\n\r\n",
        b" 1\r\nx\r\n0\r\n\r\n",
        b"1 \r\nx\r\n0\r\n\r\n",
        b"\r\nx",
        b"1\nx\r\n0\r\n\r\n",
        b"1\r\nx\n0\r\n\r\n",
        b"1\r\nxx0\r\n\r\n",
        b"2\r\nx\r\n0\r\n\r\n",
        b"1;x\ny\r\nx\r\n0\r\n\r\n",
        b"10000000000000001\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nx: \0\r\n\r\n",
    ],
)
async def test_chunks_that_are_none_are_refused(body: bytes) -> None:
    client = Client()
    answer = await client.ask(CHUNKED, body, SMUGGLED)
    assert (answer.status, answer.closes, client.state) == (400, True, "ended")
    assert answer.error.startswith("Malformed request: ")
    assert client.app.bodies == []
    assert client.app.left == len(client.app.scopes)


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


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS, 200), (MAX_HEADERS + 1, 431)])
async def test_there_are_only_so_many_trailers(count: int, status: int) -> None:
    client = Client()
    client.say(CHUNKED, chunked(b"x", trailers=b"x: y\r\n" * count))
    assert (await client.answer()).status == status


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS, 200), (MAX_HEADERS + 1, 431)])
async def test_there_are_only_so_many_headers(count: int, status: int) -> None:
    client = Client()
    answer = await client.ask(head(*(count - 1) * [b"x: y"], first=GET_1_1))
    assert answer.status == status
    if status == 431:
        await is_refused(client, 431)
        assert answer.error.startswith("expected at most 100 headers and 61,440 bytes, received 101 and ")


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


@pytest.mark.xfail(reason="serving/http1/heads.py, serving/http/requests.py: RFC 9112, section 3.2, wants 400")
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


async def test_chunks_in_http_1_0_are_refused() -> None:
    said = head(b"transfer-encoding: chunked", first=b"POST / HTTP/1.0") + chunked(b"x")
    assert await refusal_of(said) == "Malformed request: chunks in HTTP/1.0"


@pytest.mark.xfail(reason="serving/http1/heads.py: the application gets a body that is still compressed")
async def test_an_encoding_before_the_chunks_is_refused() -> None:
    client = Client()
    answer = await client.ask(head(b"transfer-encoding: gzip, chunked"), chunked(b"x"))
    assert answer.status in {400, 501}


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
        failed: Any = None

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            self.failed = await receive()

    client = Client(Early())
    client.say(CHUNKED)
    await client.settle()
    client.say(b"zz\r\n")
    await client.settle()
    assert (client.state, client.app.failed) == ("aborted", None)
    client.end()
    await client.settle()
    assert client.app.failed == {"type": "http.disconnect"}
    assert not (await client.answer()).is_whole


async def test_a_refused_request_does_not_end_who_answers_well() -> None:
    client = Client(Whole())
    client.say(GET)
    assert (await client.answer()).body == b"whole"
    client.say(b"nonsense\r\n\r\n")
    assert [answer.status for answer in await client.answers()] == [200, 400]
