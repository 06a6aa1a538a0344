"""Pages of other sites. Source: https://fetch.spec.whatwg.org/#http-cors-protocol."""

from __future__ import annotations

from typing import Any

import pytest

from serving.http.cors import Cors
from tests.serving.http.stand import Echo, Prompt
from tests.serving.http1.stand import Answer, Client, head, post

SITE = "https://example.org"
ORIGIN = b"origin: https://example.org"
PREFLIGHT = b"access-control-request-method: POST"
OPTIONS = b"OPTIONS /v1/models HTTP/1.1"
ALLOWED = b"access-control-allow-origin"


async def ask(said: bytes, *origins: str) -> tuple[Answer, Echo]:
    """The answer to this, where these origins are allowed, and the application."""
    app = Echo()
    client = Client(Cors(app, origins))
    return await client.ask(said), app


@pytest.mark.parametrize("origins", [[SITE], ["https://other.org", SITE], ["*"]])
async def test_a_page_of_an_allowed_site_reads_the_answer(origins: list[str]) -> None:
    answer, app = await ask(post(b"x", ORIGIN), *origins)
    assert (answer.body, app.bodies) == (b"x", [b"x"])
    assert (answer.headers[ALLOWED], answer.headers[b"vary"]) == (SITE.encode(), b"origin")
    assert b"x-atelier-version" in answer.headers[b"access-control-expose-headers"]
    assert answer.headers[b"content-type"] == b"text/plain"


@pytest.mark.parametrize(
    ("line", "origins"),
    [
        (ORIGIN, []),
        (ORIGIN, ["https://other.org"]),
        (b"origin: https://example.org.evil.org", [SITE]),
        (b"origin: http://example.org", [SITE]),
        (b"origin: null", [SITE]),
        (b"x: y", ["*"]),
        (b"origin:", ["*", ""]),
    ],
)
async def test_who_is_no_page_of_an_allowed_site_gets_no_permission(line: bytes, origins: list[str]) -> None:
    answer, app = await ask(post(b"x", line), *origins)
    assert (answer.body, app.bodies) == (b"x", [b"x"])
    assert not any(name.startswith(b"access-control") for name in answer.names)


async def test_who_asks_before_is_answered_without_the_application() -> None:
    answer, app = await ask(head(ORIGIN, PREFLIGHT, first=OPTIONS), SITE)
    assert (answer.status, answer.body, app.scopes) == (200, b"", [])
    assert (answer.headers[ALLOWED], answer.headers[b"vary"]) == (SITE.encode(), b"origin")
    assert b"POST" in answer.headers[b"access-control-allow-methods"].split(b", ")
    assert b"content-type" in answer.headers[b"access-control-allow-headers"].split(b", ")
    assert answer.headers[b"access-control-max-age"] == b"600"


@pytest.mark.parametrize(
    "said",
    [
        head(ORIGIN, first=OPTIONS),
        head(PREFLIGHT, first=OPTIONS),
        head(b"origin: https://other.org", PREFLIGHT, first=OPTIONS),
        head(ORIGIN, PREFLIGHT, first=b"GET / HTTP/1.1"),
    ],
    ids=["no method", "no origin", "another origin", "no OPTIONS"],
)
async def test_another_question_is_the_applications(said: bytes) -> None:
    answer, app = await ask(said, SITE)
    assert len(app.scopes) == 1
    assert b"access-control-allow-methods" not in answer.headers


@pytest.mark.parametrize("first", [b"POST /admin/x HTTP/1.1", b"OPTIONS /admin/x HTTP/1.1"])
async def test_no_page_of_another_site_calls_the_admin_api(first: bytes) -> None:
    answer, app = await ask(head(ORIGIN, PREFLIGHT, first=first), "*")
    assert len(app.scopes) == 1
    assert ALLOWED not in answer.headers


async def test_the_applications_own_headers_stay_as_they_are() -> None:
    sent: list[Any] = []
    headers = [(b"content-type", b"text/plain")]

    class App(Echo):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    scope = {"headers": [(b"origin", SITE.encode())], "path": "/", "method": "GET"}
    await Cors(App(), [SITE])(scope, receive, send)
    assert headers == [(b"content-type", b"text/plain")]
    assert sent[0]["headers"][0] == headers[0]


async def test_a_page_is_not_answered_the_short_way_that_knows_no_pages() -> None:
    for line, whole in ((ORIGIN, []), (b"x: y", [b"x"])):
        app = Prompt()
        answer = await Client(Cors(app, [SITE])).ask(post(b"x", line))
        assert (answer.body, app.whole) == (b"x", whole)
        assert (ALLOWED in answer.headers) is not bool(whole)


async def test_whole_grpc_calls_are_the_applications() -> None:
    app = Echo()
    scope = {"path": "/", "headers": [(b"content-type", b"application/grpc")]}
    work = Cors(app, ["*"]).answer_call(scope, b"x")
    assert work is not None
    answer = await work()
    assert (answer.pieces, app.whole) == ((b"x",), [b"x"])
