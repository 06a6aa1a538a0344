"""What stands before a request's body, as the scope of an ASGI application. Source: ASGI's HTTP specification."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from serving.client_limits import MAX_HEADERS, MAX_HEADERS_KIB
from serving.http.grpc_web import is_grpc_web

MAX_HEADERS_BYTES = MAX_HEADERS_KIB * 1024

_MAX_LENGTH_DIGITS = 18
_MAX_SHOWN = 100
_NO_ENCODING = re.compile(rb"%(?![0-9A-Fa-f]{2})")

Client = tuple[str, int]
"""Address and port."""
Headers = list[tuple[bytes, bytes]]


class MalformedRequestError(Exception):
    """What no request may be."""


class RefusedRequestError(Exception):
    """A request that is answered with a status and this text, without the application."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Target(NamedTuple):
    """What a request asks of whom; `path` has the query, too."""

    method: bytes
    scheme: bytes
    host: bytes | None
    path: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a request's body; every request with the same bytes there shares it."""

    scope: dict[str, Any]
    is_grpc: bool
    """A POST of gRPC over HTTP/2, not of gRPC-Web."""
    is_grpc_web: bool
    is_post: bool
    """Of none of these."""
    body_bytes: int | None
    """What the client says that the body has; None where it does not say."""
    expects_continue: bool
    accepts_gzip: bool
    refusal: RefusedRequestError | None

    @property
    def has_body_in_answer(self) -> bool:
        """Whether an answer's body is sent, or only told of."""
        return bool(self.scope["method"] != "HEAD")


def make_head(target: Target, headers: Headers, client: Client | None, http_version: str, size: int) -> Head:
    """The head of a request with these headers, whose names are in lower case and take `size` bytes with their values.

    Raises:
        MalformedRequestError: it says two lengths, or one that is none.
    """
    refusal = too_much(len(headers), size)
    if target.host is not None:
        headers = [(b"host", target.host), *(field for field in headers if field[0] != b"host")]
    path, _, query = target.path.partition(b"?")
    known = dict(reversed(headers))
    content_type = known.get(b"content-type", b"")
    is_web = is_grpc_web(content_type)
    is_grpc = content_type.startswith(b"application/grpc") and http_version == "2"
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": http_version,
        "method": target.method.decode("latin-1"),
        "scheme": target.scheme.decode("latin-1"),
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": target.path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": client,
        "server": None,
        "extensions": {"http.response.trailers": {}},
    }
    return Head(
        scope,
        is_grpc=is_grpc and not is_web and target.method == b"POST",
        is_grpc_web=is_web,
        is_post=not (is_grpc or is_web) and target.method == b"POST",
        body_bytes=_length(headers),
        expects_continue=known.get(b"expect", b"").lower() == b"100-continue",
        accepts_gzip=_accepts_gzip(known.get(b"accept-encoding", b"")),
        refusal=refusal or _refusal(target.path, target.host or b"", is_grpc=is_grpc),
    )


def too_much(fields: int, size: int) -> RefusedRequestError | None:
    """The refusal of a request with more headers, or longer ones, than there may be."""
    if fields <= MAX_HEADERS and size <= MAX_HEADERS_BYTES:
        return None
    text = f"expected at most {MAX_HEADERS} headers and {MAX_HEADERS_BYTES:,} bytes, received {fields} and {size:,}"
    return RefusedRequestError(431, text)


def _accepts_gzip(accept_encoding: bytes) -> bool:
    """Source: RFC 9110, section 12.5.3."""
    weights = {name.strip(): weight.replace(b" ", b"") for name, _, weight in _encodings(accept_encoding)}
    weight = weights.get(b"gzip", weights.get(b"*", b"q=0"))
    return weight not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}


def _encodings(accept_encoding: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [one.partition(b";") for one in accept_encoding.lower().split(b",")]


def _length(headers: Headers) -> int | None:
    lengths = {value for name, value in headers if name == b"content-length"}
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise MalformedRequestError("content-length")
    return int(length)


def _refusal(path: bytes, host: bytes, *, is_grpc: bool) -> RefusedRequestError | None:
    shown = path[:_MAX_SHOWN].decode("latin-1")
    if path[:1] != b"/":
        return RefusedRequestError(404, f"expected a path that begins with /, received {shown}")
    if b"," in host and not is_grpc:  # a gRPC client of several addresses, `ipv4:A:1,B:2`, calls all that its host
        text = host[:_MAX_SHOWN].decode("latin-1")
        return RefusedRequestError(400, f"Malformed request: expected one host, received {text}")
    if _is_text(path.partition(b"?")[0]):
        return None
    return RefusedRequestError(400, f"Malformed request: the path is not percent-encoded UTF-8: {shown}")


def _is_text(path: bytes) -> bool:
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return _NO_ENCODING.search(path) is None
