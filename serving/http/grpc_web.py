"""gRPC-Web, from browsers and from proxies in front of a gateway.

Its trailers are the end of the body. Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.wire.http2 import Fields

_Message = MutableMapping[str, Any]

_CONTENT_TYPE = b"content-type"
_GRPC = b"application/grpc"
_WEB = b"application/grpc-web"
_TEXT = b"application/grpc-web-text"
_OF_THE_BODY = frozenset({_CONTENT_TYPE, b"content-length"})
_TRAILERS = 0x80
_QUAD = 4
_PADDED = re.compile(rb"[^=]+=*|=+")
"""What is padded in its middle is several texts, one behind the other."""


def is_grpc_web(content_type: bytes) -> bool:
    """Whether a request of this content type is one, of either kind."""
    return content_type.startswith(_WEB)


class GrpcWebCall:
    """One call, as ASGI's scope, `receive` and `send` of an application that knows gRPC."""

    def __init__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        headers = [field for field in scope["headers"] if field[0] not in _OF_THE_BODY]
        self.scope = {**scope, "http_version": "2", "headers": [*headers, (_CONTENT_TYPE, _GRPC)]}
        self._receive = receive
        self._send = send
        self._content_type = dict(scope["headers"])[_CONTENT_TYPE]
        self._is_text = self._content_type.startswith(_TEXT)
        self._rest = b""
        self._has_trailers = False

    async def receive(self) -> _Message:
        """The next piece of the body; one that is no base64 ends as if it were cut short."""
        message = await self._receive()
        if not self._is_text or message["type"] != "http.request":
            return message
        text = self._rest + message.get("body", b"")
        whole = len(text) - len(text) % _QUAD
        self._rest = text[whole:]
        try:
            parts = [binascii.a2b_base64(part, strict_mode=True) for part in _PADDED.findall(text[:whole])]
        except binascii.Error:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {**message, "body": b"".join(parts)}

    async def send(self, message: _Message) -> None:
        """The same answer, with its trailers in a last frame."""
        if message["type"] == "http.response.start":
            self._has_trailers = message.get("trailers", False)
            headers = [field for field in message["headers"] if field[0] != _CONTENT_TYPE]
            headers.append((_CONTENT_TYPE, self._content_type))
            await self._send({**message, "headers": headers, "trailers": False})
        elif message["type"] == "http.response.trailers":
            await self._tell(trailers_frame(message["headers"]), more=False)
        else:
            await self._tell(message.get("body", b""), more=self._has_trailers or message.get("more_body", False))

    async def _tell(self, body: bytes, *, more: bool) -> None:
        body = base64.b64encode(body) if self._is_text else body
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def trailers_frame(trailers: Fields) -> bytes:
    """The last frame of a body: its flag, its length, and the trailers as HTTP/1 has them."""
    content = b"".join(b"%b:%b\r\n" % field for field in trailers)
    return bytes([_TRAILERS]) + len(content).to_bytes(4, "big") + content
