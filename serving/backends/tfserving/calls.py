"""A unary gRPC call over HTTP/2: what its request starts with, and what its response means. Pure.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and http-grpc-status-mapping.md beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import unquote

from serving.backends.tfserving.failures import Failure
from serving.wire.grpc_codes import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    INTERNAL,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
)
from serving.wire.grpc_framing import FRAME_HEADER_BYTES, message_length
from serving.wire.http2 import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    INADEQUATE_SECURITY,
    REFUSED_STREAM,
    encode_fields,
)

_OK = 0
_MAX_MILLISECONDS = 99_999_999
_CODE_OF_HTTP_STATUS = MappingProxyType(
    {
        b"400": INTERNAL,
        b"401": UNAUTHENTICATED,
        b"403": PERMISSION_DENIED,
        b"404": UNIMPLEMENTED,
        **dict.fromkeys((b"429", b"502", b"503", b"504"), UNAVAILABLE),
    }
)
"""Whatever stands between the gateway and the server may answer without knowing gRPC."""
_CODE_OF_RESET = MappingProxyType(
    {
        REFUSED_STREAM: UNAVAILABLE,
        CANCEL: CANCELLED,
        ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED,
        INADEQUATE_SECURITY: PERMISSION_DENIED,
    }
)

EXPIRED = Failure(DEADLINE_EXCEEDED, "Deadline Exceeded")


def request_fields(method: str, authority: str, *, is_tls: bool) -> bytes:
    """The header block of calls of a method, but for `timeout_field`; `method` is its path."""
    return encode_fields(
        (
            (b":method", b"POST"),
            (b":scheme", b"https" if is_tls else b"http"),
            (b":path", method.encode()),
            (b":authority", authority.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"grpc-atelier"),
        )
    )


def timeout_field(timeout_s: float) -> bytes:
    """The field `grpc-timeout` as the end of a header block: a literal that is never indexed (RFC 7541, 6.2.3)."""
    value = b"%dm" % min(math.ceil(max(timeout_s, 0.0) * 1e3), _MAX_MILLISECONDS)
    return b"\x10\x0cgrpc-timeout%c%b" % (len(value), value)


def reset(error_code: int) -> Failure:
    """What it means that the server ended the stream without an answer."""
    return Failure(_CODE_OF_RESET.get(error_code, INTERNAL), f"the server reset the stream (error code {error_code})")


def outcome(fields: Mapping[bytes, bytes], body: Sequence[bytes]) -> bytes | Failure:
    """The message of a response that has ended; `fields` are those of its header and of its trailer."""
    status = fields.get(b"grpc-status")
    if status is None:
        http_status = fields.get(b":status", b"none")
        code = _CODE_OF_HTTP_STATUS.get(http_status, UNKNOWN)
        return Failure(code, f"an answer without grpc-status, HTTP status {http_status.decode(errors='replace')}")
    code = int(status) if status.isdigit() else UNKNOWN
    if code != _OK:
        text = unquote(fields.get(b"grpc-message", b"").decode(errors="replace"))
        return Failure(code, text or f"status {code} without a message")
    content = body[0] if len(body) == 1 else b"".join(body)
    if len(content) < FRAME_HEADER_BYTES or message_length(content) != len(content) - FRAME_HEADER_BYTES:
        return Failure(INTERNAL, f"expected one message that is not compressed, received {len(content)} other bytes")
    return content[FRAME_HEADER_BYTES:]
