"""The little of HTTP that every front end shares: headers, answers, and the status codes of causes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from serving.errors import (
    ConflictError,
    DeadlineExceededError,
    InferenceError,
    InvalidInputError,
    ModelNotFoundError,
    ModelsUnavailableError,
    OverloadedError,
    PayloadTooLargeError,
    ServingError,
    SignatureNotFoundError,
    UnavailableError,
    UnsupportedError,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"

STATUS_OF_CAUSE = MappingProxyType(
    {
        InvalidInputError: 400,
        PayloadTooLargeError: 413,
        ModelNotFoundError: 404,
        SignatureNotFoundError: 400,
        ConflictError: 409,
        UnsupportedError: 501,
        OverloadedError: 429,
        DeadlineExceededError: 504,
        UnavailableError: 503,
        InferenceError: 500,
        ModelsUnavailableError: 500,
    }
)
OVERLOAD_STATUS = MappingProxyType({"resource-exhausted": 429, "unavailable": 503})
"""What an overloaded gateway answers, by the setting `overload_status`; the second is TensorFlow Serving's own."""


@dataclass(slots=True)
class WholeAnswer:
    """All that is sent for a request. A gRPC call's status is in the trailers, or without any in the headers."""

    headers: Headers
    pieces: tuple[bytes, ...] = ()
    trailers: Headers = ()
    status: int = 200


class ClientGoneError(Exception):
    """The client left before its request was complete; there is nobody to answer."""


def encoding_of(scope: Scope) -> str:
    """How the request says that its body is encoded, empty where it says nothing."""
    return header_of(scope, b"content-encoding").strip().lower()


def header_of(scope: Scope, name: bytes) -> str:
    """The request's header of that lower-case name, empty without one."""
    return next((value.decode("latin-1") for known, value in scope["headers"] if known == name), "")


def whole_body(body: bytes, content_type: bytes = JSON, headers: Headers = (), status: int = 200) -> WholeAnswer:
    """An answer with this body."""
    length = (b"content-length", b"%d" % len(body))
    return WholeAnswer(((b"content-type", content_type), length, *headers), (body,), status=status)


async def send_whole(send: Send, answer: WholeAnswer) -> None:
    """One complete answer."""
    trailers, pieces = bool(answer.trailers), answer.pieces or (b"",)
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": answer.headers, "trailers": trailers}
    )
    for number, piece in enumerate(pieces, 1):
        await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})
    if trailers:
        await send({"type": "http.response.trailers", "headers": answer.trailers, "more_trailers": False})


async def send_body(send: Send, status: int, body: bytes, content_type: bytes = JSON, headers: Headers = ()) -> None:
    """One complete answer of one piece."""
    await send_whole(send, whole_body(body, content_type, headers, status))


async def send_json(send: Send, status: int, document: Any) -> None:
    """One JSON answer of something that is not hot."""
    await send_body(send, status, orjson.dumps(document))


async def refuse_method(send: Send, method: str, path: str, expected: str) -> None:
    """The answer to a path asked with another method than `expected`, GET or POST."""
    allowed = b"GET, HEAD" if expected == "GET" else expected.encode()
    body = orjson.dumps({"error": f"{path}: expected {expected}, received {method}"})
    await send_body(send, 405, body, headers=((b"allow", allowed),))


def whole_error(error: ServingError, overload_status: int = 429) -> WholeAnswer:
    """A cause as TensorFlow Serving's `{"error": …}`."""
    status = STATUS_OF_CAUSE[type(error)]
    if isinstance(error, SignatureNotFoundError):
        text = f'Serving signature name: "{error.signature_name}" not found in signature def'
    else:
        text = str(error)
    retry: Headers = ()
    if isinstance(error, OverloadedError):
        status = overload_status
        retry = ((b"retry-after", str(math.ceil(error.retry_after_s)).encode()),)
    return whole_body(orjson.dumps({"error": printable(text)}), headers=retry, status=status)


def printable(text: str) -> str:
    """Text that any encoder takes: parts of requests may hold lone surrogates."""
    return text.encode("utf-8", "replace").decode()


def loop_time() -> float:
    """Now, on the clock that deadlines are counted by."""
    return asyncio.get_running_loop().time()
