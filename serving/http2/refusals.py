"""How requests are answered that never reach the application: as serving/envoy/refusals.py has Envoy do it."""

from __future__ import annotations

from types import MappingProxyType

import orjson

from serving.http2.requests import Head, RefusedRequestError
from serving.http2.stream import encode_answer
from serving.wire.grpc_codes import DEADLINE_EXCEEDED, INTERNAL, RESOURCE_EXHAUSTED
from serving.wire.grpc_framing import encode_status_message

_GRPC_CODE = MappingProxyType({400: INTERNAL, 408: DEADLINE_EXCEEDED, 431: RESOURCE_EXHAUSTED})


def refuse(head: Head, refusal: RefusedRequestError) -> tuple[bytes, bytes]:
    """The header block and the body of an answer; a gRPC client gets its status in the headers, and no body."""
    text = str(refusal)
    if head.is_grpc or head.is_grpc_web:
        code = _GRPC_CODE.get(refusal.status, INTERNAL)
        status = ((b"grpc-status", b"%d" % code), (b"grpc-message", encode_status_message(text)))
        content_type = b"application/grpc-web" if head.is_grpc_web else b"application/grpc"
        return encode_answer(200, ((b"content-type", content_type), *status)), b""
    body = orjson.dumps({"error": text})
    length = (b"content-length", b"%d" % len(body))
    block = encode_answer(refusal.status, ((b"content-type", b"application/json"), length))
    return block, b"" if head.scope["method"] == "HEAD" else body
