"""Heads of requests, as llhttp reads them. Source: RFC 9112, sections 3, 5 and 6."""

from __future__ import annotations

from typing import NamedTuple

import httptools

from serving.http.requests import (
    MAX_HEADERS_BYTES,
    Client,
    Head,
    Headers,
    MalformedRequestError,
    RefusedRequestError,
    Target,
    make_head,
)

END = b"\r\n\r\n"
"""Of a head."""
_LINES_BYTES = 4096
"""For colons, blanks and ends of lines, and the first line's method and version."""
_KNOWN_BLOCKS = 32
_MAX_KNOWN_BYTES = 1024
_VERSIONS = ("1.0", "1.1")


class RequestHead(NamedTuple):
    """A head, and what it says about the bytes behind it."""

    head: Head
    is_chunked: bool
    is_last: bool
    """The client wants the connection to end with the answer."""
    is_of_1_0: bool


class HeadReader:
    """Of one connection, most of whose requests have the same head."""

    def __init__(self, client: Client | None, scheme: bytes) -> None:
        self._client = client
        self._scheme = scheme
        self._known: dict[bytes, RequestHead] = {}

    def read(self, block: bytes) -> RequestHead:
        """The head of these bytes, which end with its empty line.

        Raises:
            RefusedRequestError: a request that is to be refused before it is known what it asks.
        """
        known = self._known.get(block)
        if known is None:
            known = self._parse(block)
            if len(block) <= _MAX_KNOWN_BYTES and known.head.refusal is None:
                if len(self._known) >= _KNOWN_BLOCKS:
                    self._known.clear()
                self._known[block] = known
        return known

    def _parse(self, block: bytes) -> RequestHead:
        check_length(len(block))
        fields = Fields()
        parser = httptools.HttpRequestParser(fields)
        try:
            parser.feed_data(block)
        except httptools.HttpParserUpgrade:
            pass  # which nobody offers, so it is not heeded
        except httptools.HttpParserError as error:
            raise RefusedRequestError(400, f"Malformed request: {error}") from error
        method, version = parser.get_method(), parser.get_http_version()
        if version not in _VERSIONS:
            raise RefusedRequestError(
                400, f"Malformed request: expected HTTP/1.1, received HTTP/{version}"
            )
        if method == b"CONNECT":
            raise RefusedRequestError(400, "Malformed request: this is no proxy")
        headers = [(name.lower(), value.strip(b" \t")) for name, value in fields.headers]
        hosts = [value for name, value in headers if name == b"host"]
        if not hosts and version == "1.1":
            raise RefusedRequestError(400, "Malformed request: expected a host, received none")
        is_chunked = any(name == b"transfer-encoding" for name, _ in headers)
        if is_chunked and version == "1.0":
            raise RefusedRequestError(400, "Malformed request: chunks in HTTP/1.0")
        host, path = _parted(fields.target)
        target = Target(method, self._scheme, host or (b",".join(hosts) if hosts else None), path)
        try:
            head = make_head(
                target, headers, self._client, version, sum(len(name) + len(value) for name, value in headers)
            )
        except MalformedRequestError as error:
            raise RefusedRequestError(400, f"Malformed request: {error}") from error
        return RequestHead(head, is_chunked, not parser.should_keep_alive(), version == "1.0")


class Fields:
    """What llhttp calls while it reads a head."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: Headers = []

    def on_url(self, piece: bytes) -> None:
        """A piece of the request's target."""
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.headers.append((name, value))


class Beginning:
    """Of a head whose end has not come; what is no head is refused as soon as that is sure."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(Fields())
        self.block = bytearray()

    def feed(self, piece: bytes) -> int:
        """Where the head ends in what has come so far, -1 where it does not.

        Raises:
            RefusedRequestError: it is none, or too long.
        """
        looked_at = max(len(self.block) - len(END) + 1, 0)
        self.block += piece
        end = self.block.find(END, looked_at)
        if end < 0:
            check_length(len(self.block))
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserError as error:
                raise RefusedRequestError(400, f"Malformed request: {error}") from error
        return end


def check_length(size: int) -> None:
    """Raises:
    RefusedRequestError: so many bytes are more than a head may have, as it is sent.
    """
    if size > MAX_HEADERS_BYTES + _LINES_BYTES:
        raise RefusedRequestError(431, f"expected at most {MAX_HEADERS_BYTES:,} bytes of headers, received more")


def _parted(target: bytes) -> tuple[bytes | None, bytes]:
    """The host, where the target names it, and the path (RFC 9112, section 3.2.2)."""
    scheme, colon, rest = target.partition(b"://")
    if not colon or target[:1] == b"/" or not scheme.isalpha():
        return None, target
    host, slash, path = rest.partition(b"/")
    return host.partition(b"?")[0], slash + path or b"/"
