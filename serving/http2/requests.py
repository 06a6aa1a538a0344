"""A request's header block, as the scope of an ASGI application.

Sources: RFC 9113, section 8 (what a request has to have), RFC 7541 (header blocks), and ASGI's HTTP specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import hpack

from serving.http2.grpc_web import is_grpc_web
from serving.wire.http2 import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, MAX_BLOCK_BYTES, Fields, ProtocolError

MAX_HEADERS = 100
MAX_HEADERS_BYTES = 60 * 1024
_MAX_READ_FIELDS = 1000
"""A request of more headers than there may be is answered, of many more it ends its connection."""
_SMALL_BLOCK_BYTES = 2048
"""hpack copies the rest of a block for each field."""
_KNOWN_BLOCKS = 32

_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_CONNECTIONS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


class MalformedRequestError(Exception):
    """A header block that no request may have: its stream is reset."""


class RefusedRequestError(Exception):
    """A request that is answered with a status and this text, without the application."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Head(NamedTuple):
    """What stands before a request's body; every request with the same block shares it."""

    scope: dict[str, Any]
    is_grpc: bool
    is_grpc_web: bool
    body_bytes: int | None
    """What the client says that the body has; None where it does not say."""
    expects_continue: bool
    refusal: RefusedRequestError | None


class HeadReader:
    """Reads the header blocks of one connection, which share a table of fields."""

    def __init__(self, client: tuple[str, int] | None) -> None:
        self._client = client
        self._decoder = hpack.Decoder(MAX_BLOCK_BYTES * 4)
        self._known: dict[bytes, Head] = {}
        """By block, as long as the table stays as it is. Most requests of a connection have the same one."""

    def read(self, block: bytes) -> Head:
        """The head of a request.

        Raises:
            MalformedRequestError: see there.
            ProtocolError: the connection can't go on.
        """
        head = self._known.get(block)
        if head is None:
            before = self._table()
            fields = self.fields(block)
            if self._table() != before or len(self._known) >= _KNOWN_BLOCKS:
                self._known.clear()
            head = _head(fields, self._client)
            if self._table() == before:
                self._known[block] = head
        return head

    def fields(self, block: bytes) -> Fields:
        """The fields of any header block.

        Raises:
            ProtocolError: it is damaged, or has far too many.
        """
        try:
            if len(block) <= _SMALL_BLOCK_BYTES:
                return list(self._decoder.decode(block, raw=True))
            return [field for part in split_block(block) for field in self._decoder.decode(part, raw=True)]
        except hpack.OversizedHeaderListError as error:
            raise ProtocolError("a header block of too many bytes", ENHANCE_YOUR_CALM) from error
        except (hpack.HPACKError, IndexError) as error:
            raise ProtocolError("a header block that cannot be read", COMPRESSION_ERROR) from error

    def _table(self) -> tuple[int, int, int]:
        """Changes whenever the table does: a new field stands first, as an object of its own."""
        table = self._decoder.header_table
        entries = table.dynamic_entries
        return table.maxsize, len(entries), id(entries[0]) if entries else 0


def split_block(block: bytes) -> Iterator[bytes]:
    """The fields of a header block, each as a block of its own.

    Raises:
        ProtocolError: there are too many.
        IndexError: the block ends in the middle of one.
    """
    start = count = 0
    while start < len(block):
        count += 1
        if count > _MAX_READ_FIELDS:
            raise ProtocolError(f"a header block of more than {_MAX_READ_FIELDS} fields", ENHANCE_YOUR_CALM)
        first = block[start]
        if first & 0x80:
            end = _after_number(block, start, 7)[0]
        elif first & 0xE0 == 0x20:
            end = _after_number(block, start, 5)[0]
        else:
            end, name = _after_number(block, start, 6 if first & 0x40 else 4)
            if not name:
                end = _after_text(block, end)
            end = _after_text(block, end)
        yield block[start:end]
        start = end


def _after_number(block: bytes, start: int, bits: int) -> tuple[int, int]:
    """Where a number ends that begins with the last bits of a byte, and the number (RFC 7541, section 5.1)."""
    most = (1 << bits) - 1
    number = block[start] & most
    end = start + 1
    if number == most:
        shift = 0
        while True:
            byte = block[end]
            end += 1
            number += (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
    return end, number


def _after_text(block: bytes, start: int) -> int:
    end, length = _after_number(block, start, 7)
    return end + length


def _head(fields: Fields, client: tuple[str, int] | None) -> Head:
    pseudo: dict[bytes, bytes] = {}
    headers: list[tuple[bytes, bytes]] = []
    size = 0
    for field in fields:
        name, value = field
        size += len(name) + len(value)
        if name[:1] == b":":
            if name not in _PSEUDO or name in pseudo or headers:
                raise MalformedRequestError(f"the field {name!r}")
            pseudo[name] = value
        elif not _NAME.fullmatch(name) or name in _OF_CONNECTIONS or (name == b"te" and value != b"trailers"):
            raise MalformedRequestError(f"the header {name!r}")
        else:
            headers.append((name, value))
        if not _VALUE.fullmatch(value):
            raise MalformedRequestError(f"the value of {name!r}")
    method, path = pseudo.get(b":method"), pseudo.get(b":path")
    if not method or not path or not pseudo.get(b":scheme") or method == b"CONNECT":
        raise MalformedRequestError("no :method, :scheme or :path")
    known = dict(headers)
    content_type = known.get(b"content-type", b"")
    if b":authority" in pseudo:
        headers.insert(0, (b"host", pseudo[b":authority"]))
    raw_path, _, query = path.partition(b"?")
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
    length = known.get(b"content-length")
    if length is not None and not length.isdigit():
        raise MalformedRequestError("content-length")
    return Head(
        scope,
        content_type.startswith(b"application/grpc") and not is_grpc_web(content_type),
        is_grpc_web(content_type),
        None if length is None else int(length),
        known.get(b"expect", b"").lower() == b"100-continue",
        _refusal(path, len(headers), size),
    )


def _refusal(path: bytes, headers: int, size: int) -> RefusedRequestError | None:
    if headers > MAX_HEADERS or size > MAX_HEADERS_BYTES:
        text = f"expected at most {MAX_HEADERS} headers of {MAX_HEADERS_BYTES} bytes, received {headers} of {size}"
        return RefusedRequestError(431, text)
    if path[:1] != b"/":
        return RefusedRequestError(404, f"expected a path that begins with /, received {path[:100]!r}")
    try:
        unquote_to_bytes(path.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        shown = path.decode("latin-1")
        return RefusedRequestError(400, f"Malformed request: the path is not percent-encoded UTF-8: {shown}")
    return None
