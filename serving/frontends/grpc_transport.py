"""Unary gRPC calls, over ASGI or as a whole: frames messages, and writes the status trailers."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from types import MappingProxyType

from google.protobuf.message import DecodeError

from serving.batching.terms import Terms
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
from serving.frontends.bodies import Bodies, check_size
from serving.frontends.http import (
    ClientGoneError,
    Headers,
    Receive,
    Scope,
    Send,
    WholeAnswer,
    header_of,
    printable,
    send_json,
    send_whole,
)
from serving.frontends.request_terms import TermsReader
from serving.in_thread import in_thread
from serving.wire.compression import ENCODINGS, MAX_INFLATED_AT_ONCE
from serving.wire.grpc_framing import decode_message, encode_message, encode_status_message, frame_header
from serving.wire.status_details import encode_details

log = logging.getLogger("atelier.grpc")

Handler = Callable[[bytes, Terms], Awaitable[bytes]]
"""Answers one message on its terms."""

UNKNOWN = 2
UNIMPLEMENTED = 12
INTERNAL = 13
_FRAME_HEADER_BYTES = 5
_MAX_STATUS_CHARACTERS = 1024
_TRUNCATED = "...TRUNCATED"
_MAX_DETAILED_CHARACTERS = 512
"""A longer text is not said twice: clients bound the bytes of headers."""
_MIN_COMPRESSED_BYTES = 1024
_MAX_COMPRESSED_BYTES = 1024 * 1024
"""Larger answers would keep the event loop from everybody else while they are compressed."""
_MAX_FRAMED_BYTES = 1024 * 1024
"""Larger answers are not copied to have their frame's header in front of them; it is sent by itself."""

CODE_OF_CAUSE = MappingProxyType(
    {
        ModelsUnavailableError: UNKNOWN,
        InvalidInputError: 3,
        DeadlineExceededError: 4,
        ModelNotFoundError: 5,
        OverloadedError: 8,
        PayloadTooLargeError: 8,
        SignatureNotFoundError: 9,
        ConflictError: 9,
        UnsupportedError: UNIMPLEMENTED,
        InferenceError: INTERNAL,
        UnavailableError: 14,
    }
)

REASON_OF_CAUSE = MappingProxyType(
    {
        InvalidInputError: "INVALID_INPUT",
        DeadlineExceededError: "DEADLINE_EXCEEDED",
        ModelNotFoundError: "MODEL_NOT_FOUND",
        OverloadedError: "OVERLOADED",
        PayloadTooLargeError: "PAYLOAD_TOO_LARGE",
        SignatureNotFoundError: "SIGNATURE_NOT_FOUND",
        ConflictError: "CONFLICT",
        UnsupportedError: "UNSUPPORTED",
        InferenceError: "INFERENCE_FAILED",
        UnavailableError: "UNAVAILABLE",
        ModelsUnavailableError: "MODELS_UNAVAILABLE",
    }
)
"""For programs that have to tell causes of one code apart, such as a full queue and a large body."""

OVERLOAD_CODE = MappingProxyType({"resource-exhausted": 8, "unavailable": 14})
"""What an overloaded gateway answers, by the setting `overload_status`; the second is TensorFlow Serving's own."""
_CONTENT_TYPE = (b"content-type", b"application/grpc")
_ACCEPT_ENCODING = (b"grpc-accept-encoding", b"identity,gzip,deflate")
_KNOWN_HEADERS = "atelier.headers"
_HEADERS = (_CONTENT_TYPE, _ACCEPT_ENCODING)
_OK = ((b"grpc-status", b"0"),)
START = {"type": "http.response.start", "status": 200, "headers": _HEADERS, "trailers": True}


class UnaryCalls:
    """Answers calls of methods with one message in and one out, on one event loop."""

    def __init__(self, max_bytes: int, bodies: Bodies, reader: TermsReader, overload_code: int) -> None:
        self._max_bytes = max_bytes
        self._bodies = bodies
        self._reader = reader
        self._overload_code = overload_code

    async def serve(self, scope: Scope, receive: Receive, send: Send, handle: Handler) -> None:
        """Reads one message, has it answered, sends the answer or the cause of its failure."""
        if not is_grpc(scope):
            expected = "POST with content-type application/grpc over HTTP/2"
            await send_json(send, 415, {"error": f"{scope['path']}: expected {expected}"})
            return
        try:
            terms, encoding = self._read_headers(scope)
            frame = await self._bodies.read(receive, self._max_bytes + _FRAME_HEADER_BYTES)
            if encoding:
                message = await self._inflated(frame, encoding)
            else:
                message = decode_message(frame, "", self._max_bytes)
            del frame  # has what the message has
            whole = _whole(scope, encoding, await handle(message, terms))
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 -- it is logged
            whole = self._failed(scope, error)
        await send_whole(send, whole)

    async def serve_whole(self, scope: Scope, frame: bytes, handle: Handler) -> WholeAnswer:
        """As `serve`, for a request that is there already."""
        try:
            terms, encoding = self._read_headers(scope)
            check_size(len(frame), self._max_bytes + _FRAME_HEADER_BYTES)
            if encoding:
                message = await self._inflated(frame, encoding)
            else:
                message = decode_message(frame, "", self._max_bytes)
            del frame  # as above
            return _whole(scope, encoding, await handle(message, terms))
        except Exception as error:  # noqa: BLE001 -- as above
            return self._failed(scope, error)

    def _read_headers(self, scope: Scope) -> tuple[Terms, str]:
        """The call's terms, and how its message is encoded; remembered for calls that share the scope.

        Raises:
            InvalidInputError: see `TermsReader.read`.
        """
        known: tuple[Terms, str] | None = scope.get(_KNOWN_HEADERS)
        if known is not None:
            return known
        headers = dict(scope["headers"])
        terms, encoding = self._reader.read(scope, headers), headers.get(b"grpc-encoding", b"").decode("latin-1")
        if terms.deadline is None:
            scope[_KNOWN_HEADERS] = terms, encoding
        return terms, encoding

    async def _inflated(self, frame: bytes, encoding: str) -> bytes:
        message = await message_of(frame, encoding, self._max_bytes)
        self._bodies.count(len(message))
        return message

    def _failed(self, scope: Scope, error: Exception) -> WholeAnswer:
        if isinstance(error, ServingError):
            return _cause(error, self._overload_code)
        if isinstance(error, DecodeError):
            text = "the message is not a valid protobuf of the method's request type"
            return _status(CODE_OF_CAUSE[InvalidInputError], text)
        log.error("a call of %s failed", scope["path"], exc_info=error)
        return _status(INTERNAL, "internal error; the gateway's log has the details")


async def message_of(frame: bytes, encoding: str, max_bytes: int) -> bytes:
    """See `decode_message`; what may be a bomb is inflated in a thread."""
    if encoding and len(frame) > MAX_INFLATED_AT_ONCE:
        return await in_thread(None, decode_message, frame, encoding, max_bytes)
    return decode_message(frame, encoding, max_bytes)


def _answer_encoding(scope: Scope, encoding: str, size: int) -> str:
    """A client that compresses is answered alike, where that is worth its time and the client says that it can."""
    if encoding not in ENCODINGS or not _MIN_COMPRESSED_BYTES <= size <= _MAX_COMPRESSED_BYTES:
        return ""
    accepted = header_of(scope, b"grpc-accept-encoding").split(",")
    return encoding if encoding in {name.strip() for name in accepted} else ""


def _whole(scope: Scope, encoding: str, answer: bytes) -> WholeAnswer:
    encoding = _answer_encoding(scope, encoding, len(answer)) if encoding else ""
    if encoding:
        headers = (*_HEADERS, (b"grpc-encoding", encoding.encode()))
        return WholeAnswer(headers, (encode_message(answer, encoding),), _OK)
    if len(answer) > _MAX_FRAMED_BYTES:
        return WholeAnswer(_HEADERS, (frame_header(len(answer)), answer), _OK)
    return WholeAnswer(_HEADERS, (frame_header(len(answer)) + answer,), _OK)


def is_grpc(scope: Scope) -> bool:
    """Whether the request says that its body is gRPC, and comes by what carries its answer's trailers."""
    if scope["http_version"] != "2":
        return False
    for name, value in scope["headers"]:
        if name == b"content-type":
            return bool(value.startswith(b"application/grpc"))
    return False


async def send_status(send: Send, code: int, text: str, more: Headers = ()) -> None:
    """An answer without a message: status only, in the headers ("trailers-only")."""
    await send_whole(send, _status(code, text, more))


def _status(code: int, text: str, more: Headers = ()) -> WholeAnswer:
    return WholeAnswer((_CONTENT_TYPE, *status_headers(code, text), *more))


def _cause(error: ServingError, overload_code: int) -> WholeAnswer:
    """The status of a cause, and its reason in `grpc-status-details-bin`."""
    text, code, retry_after_s = _shown(str(error)), CODE_OF_CAUSE[type(error)], None
    more: list[tuple[bytes, bytes]] = []
    if isinstance(error, OverloadedError):
        code, retry_after_s = overload_code, error.retry_after_s
        # What a client with a retry policy is asked to wait (gRFC A6); REST says `retry-after`.
        more.append((b"grpc-retry-pushback-ms", str(math.ceil(retry_after_s * 1e3)).encode()))
    if len(text) <= _MAX_DETAILED_CHARACTERS:
        more.append(
            (b"grpc-status-details-bin", encode_details(code, text, REASON_OF_CAUSE[type(error)], retry_after_s))
        )
    return _status(code, text, tuple(more))


def status_headers(code: int, text: str) -> list[tuple[bytes, bytes]]:
    """A failed call's status as headers or trailers; the text is cut where TensorFlow Serving cuts it."""
    return [(b"grpc-status", str(code).encode()), (b"grpc-message", encode_status_message(_shown(text)))]


def _shown(text: str) -> str:
    shown = printable(text)
    if len(shown) <= _MAX_STATUS_CHARACTERS or shown.endswith(_TRUNCATED):
        return shown
    return shown[:_MAX_STATUS_CHARACTERS] + _TRUNCATED
