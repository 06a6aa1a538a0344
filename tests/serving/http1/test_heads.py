"""Heads: targets, hosts, and heads that came before."""

from __future__ import annotations

import pytest

from serving.http.requests import RefusedRequestError
from serving.http1.heads import HeadReader
from tests.serving.http1.stand import GET, WHO, Client, head, post


def read(block: bytes, scheme: bytes = b"http") -> HeadReader:
    return HeadReader(WHO, scheme).read(block).head


@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        (b"/a/b?c=d", b"gateway", "/a/b", b"c=d"),
        (b"/a?b?c", b"gateway", "/a", b"b?c"),
        (b"//a//b", b"gateway", "//a//b", b""),
        (b"/http://other/", b"gateway", "/http://other/", b""),
        (b"/a?u=http://other/", b"gateway", "/a", b"u=http://other/"),
        (b"http://other/a?b=c", b"other", "/a", b"b=c"),
        (b"HTTPS://other:8080/a", b"other:8080", "/a", b""),
        (b"http://other", b"other", "/", b""),
        (b"http://other/", b"other", "/", b""),
        (b"http://other/a?u=http://third/b", b"other", "/a", b"u=http://third/b"),
        (b"http://other?a=/b", b"other", "/", b"a=/b"),
        (b"http://other?a=b", b"other", "/", b"a=b"),
    ],
)
def test_a_target_may_have_the_host_in_it(target: bytes, host: bytes, path: str, query: bytes) -> None:
    scope = read(head(b"x: y", first=b"GET " + target + b" HTTP/1.1")).scope
    assert scope["headers"] == [(b"host", host), (b"x", b"y")]
    assert (scope["path"], scope["query_string"], scope["scheme"]) == (path, query, "http")


@pytest.mark.parametrize("target", [b"mailto:a@b", b"other/a", b"?a", b"http:/a", b"h-t://a/b", b"gateway:80"])
def test_another_target_is_no_path(target: bytes) -> None:
    with pytest.raises(RefusedRequestError) as caught:
        read(head(first=b"GET " + target + b" HTTP/1.1"))
    assert caught.value.status == 400


def test_http_1_0_needs_no_host() -> None:
    found = read(head(host=b"", first=b"GET / HTTP/1.0"))
    assert (found.refusal, found.scope["headers"], found.scope["http_version"]) == (None, [], "1.0")


def test_an_empty_host_is_a_host() -> None:
    assert read(head(host=b"host:")).scope["headers"] == [(b"host", b"")]


def test_the_scheme_is_what_the_ports_speak() -> None:
    assert read(head(), b"https").scope["scheme"] == "https"


@pytest.mark.parametrize(
    ("line", "accepts"),
    [
        (b"accept-encoding: gzip", True),
        (b"accept-encoding: br, GZIP;q=0.5", True),
        (b"accept-encoding: deflate, br", False),
        (b"accept-encoding: gzip;q=0", False),
        (b"accept-encoding: gzip; q=0.000", False),
        (b"accept-encoding: xgzip", False),
        (b"x: gzip", False),
    ],
)
def test_what_a_client_accepts_is_read(line: bytes, accepts: bool) -> None:
    assert read(head(line)).accepts_gzip is accepts


def test_a_head_that_was_seen_before_is_not_read_again() -> None:
    reader = HeadReader(WHO, b"http")
    heads = [reader.read(head(line)) for line in (b"x: y", b"x: z", b"x: y")]
    assert heads[0] is heads[2]
    assert heads[0] is not heads[1]
    assert heads[1].head.scope["headers"] == [(b"host", b"gateway"), (b"x", b"z")]


def test_a_refused_head_and_a_long_one_are_not_kept() -> None:
    reader = HeadReader(WHO, b"http")
    for block in (head(first=b"GET /%FF HTTP/1.1"), head(b"x: " + b"y" * 5000)):
        assert reader.read(block) is not reader.read(block)


async def test_requests_with_the_same_head_have_their_own_bodies_and_those_with_others_their_own_heads() -> None:
    client = Client()
    bodies = [b"one", b"two", b"three", b"one", b"", b"three"]
    for number, body in enumerate(bodies):
        client.say(post(body, b"x-number: %d" % (number % 2)))
    assert await client.bodies() == bodies
    for number, (scope, body) in enumerate(client.app.answered):
        assert scope["headers"][1:] == [(b"x-number", b"%d" % (number % 2)), (b"content-length", b"%d" % len(body))]


async def test_the_end_of_a_connection_is_of_its_own_head() -> None:
    client = Client()
    client.say(post(b"1"), post(b"2"), post(b"3", b"connection: close"))
    assert [answer.closes for answer in await client.answers()] == [False, False, True]


async def test_each_connection_knows_only_its_own_client() -> None:
    readers = [HeadReader(who, b"http") for who in (WHO, ("192.0.2.8", 1), None)]
    scopes = [reader.read(GET).head.scope for reader in readers for _ in range(2)]
    assert [scope["client"] for scope in scopes] == [WHO, WHO, ("192.0.2.8", 1), ("192.0.2.8", 1), None, None]
