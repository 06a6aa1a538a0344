"""What is no request, or might be read in two ways. Source: RFC 9112, sections 2.2, 3, 5 to 7."""

from __future__ import annotations

import pytest

from tests.serving.http1.stand import CHUNKED, GET, Client, head, refusal_of
from tests.support.hostile.forms import BODY, FORMS, SMUGGLED

ELSEWHERE = {"the head of HTTP/2, and then none": "400"}
"""What does not come so far, as it begins like HTTP/2."""


async def play(name: str, size: int) -> None:
    said, expected = FORMS[name]
    client = Client()
    for at in range(0, len(said), size):
        client.say(said[at : at + size])
    answer = await client.answer()
    assert answer.status == int(ELSEWHERE.get(name, expected))
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
