"""Which sites' pages may call the gateway from a browser. Source: https://fetch.spec.whatwg.org/#http-cors-protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from serving.admin_access import ADMIN_PREFIX
from serving.frontends.http import Headers, Receive, Scope, Send, header_of
from serving.http.answering import App, Work
from serving.http.exchange import Message

ANY = "*"
_METHODS = b"GET, HEAD, POST, OPTIONS"
_REQUEST_HEADERS = (
    b"content-type, content-encoding, authorization, inference-header-content-length, "
    b"x-grpc-web, x-user-agent, grpc-timeout"
)
_RESPONSE_HEADERS = (
    b"grpc-status, grpc-message, grpc-status-details-bin, "
    b"inference-header-content-length, retry-after, x-atelier-version"
)
_MAX_AGE_S = b"600"
_VARY = (b"vary", b"origin")


class Cors:
    """An application that answers pages of some sites, too. The admin API has no pages but its own."""

    def __init__(self, app: App, origins: Sequence[str]) -> None:
        """`*` among the origins means any site."""
        self._app = app
        self._origins = frozenset(origins)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """As ASGI has it."""
        origin = header_of(scope, b"origin")
        if not self._may_call(origin, scope["path"]):
            return self._app(scope, receive, _with(send, (_VARY,)) if origin else send)
        allowed = ((b"access-control-allow-origin", origin.encode("latin-1")), _VARY)
        if scope["method"] == "OPTIONS" and header_of(scope, b"access-control-request-method"):
            return _send_preflight(send, allowed)
        exposed = (b"access-control-expose-headers", _RESPONSE_HEADERS)
        return self._app(scope, receive, _with(send, (*allowed, exposed)))

    def answer_call(self, scope: Scope, body: bytes) -> Work | None:
        """As the application does: browsers do not speak gRPC itself."""
        return self._app.answer_call(scope, body)

    def answer_post(self, scope: Scope, body: bytes) -> Work | None:
        """As the application does, but not for pages."""
        return None if header_of(scope, b"origin") else self._app.answer_post(scope, body)

    def _may_call(self, origin: str, path: str) -> bool:
        is_known = bool(origin) and (origin in self._origins or ANY in self._origins)
        return is_known and not path.startswith(ADMIN_PREFIX)


def _with(send: Send, more: Headers) -> Send:
    """An ASGI `send` that adds headers to an answer's own."""

    def send_with_more(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        return send(message)

    return send_with_more


async def _send_preflight(send: Send, allowed: Headers) -> None:
    headers = (
        *allowed,
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _REQUEST_HEADERS),
        (b"access-control-max-age", _MAX_AGE_S),
        (b"content-length", b"0"),
    )
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
