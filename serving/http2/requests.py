"""The fields of a request, as the scope of an ASGI application.

Sources: RFC 9113, section 8 (what a request has to have), and ASGI's HTTP specification.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from serving.client_limits import MAX_HEADERS, MAX_HEADERS_KIB
from serving.http2.grpc_web import is_grpc_web
from serving.wire.http2 import Fields

MAX_HEADERS_BYTES = MAX_HEADERS_KIB * 1024

_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_CONNECTIONS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")
_MAX_LENGTH_DIGITS = 18
_MAX_SHOWN = 100

Client = tuple[str, int]
"""Address and port."""


class MalformedRequestError(Exception):
    """Fields that no request may have: its stream is reset."""


class RefusedRequestError(Exception):
    """A request that is answered with a status and this text, without the application."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Head(NamedTuple):
    """What stands before a request's body; every request with the same block shares it."""

    scope: dict[str, Any]
    is_grpc: bool
    """A POST of gRPC, not of gRPC-Web."""
    is_grpc_web: bool
    body_bytes: int | None
    """What the client says that the body has; None where it does not say."""
    expects_continue: bool
    refusal: RefusedRequestError | None


def head_of(fields: Fields, client: Client | None) -> Head:
    """What the fields of a request say.

    Raises:
        MalformedRequestError: see there.
    """
    size = sum(len(name) + len(value) for name, value in fields)
    is_too_much = len(fields) > MAX_HEADERS + len(_PSEUDO) or size > MAX_HEADERS_BYTES
    pseudo, headers = _parted(fields, check=not is_too_much)
    method, path = pseudo.get(b":method"), pseudo.get(b":path")
    if not method or not path or not pseudo.get(b":scheme") or method == b"CONNECT":
        raise MalformedRequestError("no :method, :scheme or :path")
    host = pseudo.get(b":authority")
    if host is not None:
        headers = [(b"host", host), *(field for field in headers if field[0] != b"host")]
    raw_path, _, query = path.partition(b"?")
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    is_web = is_grpc_web(content_type)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "method": method.decode("latin-1"),
        "scheme": pseudo[b":scheme"].decode("latin-1"),
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": client,
        "server": None,
        "extensions": {"http.response.trailers": {}},
    }
    is_grpc = content_type.startswith(b"application/grpc")
    refusal = _too_much(len(fields), size) if is_too_much else _refusal(path, host or b"", is_grpc=is_grpc)
    expects_continue = any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)
    is_call = is_grpc and not is_web and method == b"POST"
    return Head(scope, is_call, is_web, _length(headers), expects_continue, refusal)


def are_trailers(fields: Fields) -> bool:
    """Whether these fields may stand behind a body."""
    return all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in fields)


def _parted(fields: Fields, *, check: bool) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    """The pseudo-header fields, and the headers."""
    pseudo: dict[bytes, bytes] = {}
    headers: list[tuple[bytes, bytes]] = []
    for field in fields:
        name, value = field
        if name[:1] == b":":
            if name not in _PSEUDO or name in pseudo or headers:
                raise MalformedRequestError(f"the field {name!r}")
            pseudo[name] = value
        else:
            headers.append((name, value))
            if check and not (_NAME.fullmatch(name) and name not in _OF_CONNECTIONS):
                raise MalformedRequestError(f"the header {name!r}")
        if check and not _VALUE.fullmatch(value):
            raise MalformedRequestError(f"the value of {name!r}")
    if any(name == b"te" and value.lower() != b"trailers" for name, value in headers):
        raise MalformedRequestError("the header te")
    return pseudo, headers


def _length(headers: list[tuple[bytes, bytes]]) -> int | None:
    lengths = {value for name, value in headers if name == b"content-length"}
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise MalformedRequestError("content-length")
    return int(length)


def _too_much(fields: int, size: int) -> RefusedRequestError:
    text = f"expected at most {MAX_HEADERS} headers and {MAX_HEADERS_BYTES:,} bytes, received {fields} and {size:,}"
    return RefusedRequestError(431, text)


def _refusal(path: bytes, host: bytes, *, is_grpc: bool) -> RefusedRequestError | None:
    """As serving/envoy/refusals.py has Envoy refuse."""
    shown = path[:_MAX_SHOWN].decode("latin-1")
    if path[:1] != b"/":
        return RefusedRequestError(404, f"expected a path that begins with /, received {shown}")
    if b"," in host and not is_grpc:
        text = host[:_MAX_SHOWN].decode("latin-1")
        return RefusedRequestError(400, f"Malformed request: expected one host, received {text}")
    try:
        unquote_to_bytes(path.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        return RefusedRequestError(400, f"Malformed request: the path is not percent-encoded UTF-8: {shown}")
    return None
