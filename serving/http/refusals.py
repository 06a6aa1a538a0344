"""How requests are answered that never reach the application."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import orjson

from serving.frontends.http import JSON, Headers
from serving.http.requests import Head, RefusedRequestError
from serving.wire.grpc_codes import DEADLINE_EXCEEDED, INTERNAL, RESOURCE_EXHAUSTED
from serving.wire.grpc_framing import encode_status_message

TIMED_OUT = RefusedRequestError(408, "the request was refused: request_overall_timeout")
INTERNAL_ERROR = RefusedRequestError(500, "internal error; the gateway's log has the details")
_GRPC_CODE = MappingProxyType({400: INTERNAL, 408: DEADLINE_EXCEEDED, 431: RESOURCE_EXHAUSTED})


class Refusal(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


def refuse(head: Head | None, refusal: RefusedRequestError) -> Refusal:
    """What a client is told, as JSON; one of gRPC gets its status in the headers, and no body.

    Without a head, it is not known yet what the client asks.
    """
    text = str(refusal)
    if head is not None and (head.is_grpc or head.is_grpc_web):
        code = _GRPC_CODE.get(refusal.status, INTERNAL)
        status = ((b"grpc-status", b"%d" % code), (b"grpc-message", encode_status_message(text)))
        content_type = b"application/grpc-web" if head.is_grpc_web else b"application/grpc"
        return Refusal(200, ((b"content-type", content_type), *status), b"")
    body = orjson.dumps({"error": text})
    headers = ((b"content-type", JSON), (b"content-length", b"%d" % len(body)))
    return Refusal(refusal.status, headers, body if head is None or head.has_body_in_answer else b"")
