"""Heads of requests, as llhttp reads them. Source: RFC 9112, sections 3, 5 and 6."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

from serving.client_limits import MAX_HEADERS
from serving.http.known_heads import KnownHeads
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
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://(?P<host>[^/?]*)(?P<path>.*)", re.DOTALL)
_MOST_SHOWN = 100
_VERSIONS = ("1.0", "1.1")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A head, and what it says about the bytes behind it."""

    head: Head
    is_chunked: bool
    is_last: bool
    """The client wants the connection to end with the answer."""
    is_of_1_0: bool


class HeadReader:
    """Of one connection."""

    def __init__(self, client: Client | None, scheme: bytes) -> None:
        self._client = client
        self._scheme = scheme
        self._known = KnownHeads[RequestHead]()

    def read(self, block: bytes) -> RequestHead:
        """The head of these bytes, which end with its empty line.

        Raises:
            RefusedRequestError: a request that is to be refused before it is known what it asks.
        """
        known = self._known.get(block)
        if known is None:
            known = self._parse(block)
            self._known.keep(block, known.head, known)
        return known

    def _parse(self, block: bytes) -> RequestHead:
        check_length(len(block))
        fields = _Fields()
        parser = httptools.HttpRequestParser(fields)
        _feed(parser, fields, block)
        method, version = parser.get_method(), parser.get_http_version()
        if version not in _VERSIONS or b" HTTP/" not in block.partition(b"\r\n")[0]:
            raise _malformed("expected HTTP/1.1")
        if method == b"CONNECT":
            raise _malformed("this is no proxy")
        headers = [(name.lower(), value.strip(b" \t")) for name, value in fields.headers]
        encodings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
        if encodings and (encodings != [b"chunked"] or version == "1.0"):
            shown = b", ".join(encodings)[:_MOST_SHOWN].decode("latin-1")
            raise RefusedRequestError(501, f"transfer-encoding: expected chunked, in HTTP/1.1, received {shown}")
        own_host, (host, path) = _host(headers, version), _parted(fields.target)
        target = Target(method, self._scheme, host or own_host, path)
        size = sum(len(name) + len(value) for name, value in headers)
        try:
            head = make_head(target, headers, self._client, version, size)
        except MalformedRequestError as error:
            raise _malformed(str(error)) from error
        return RequestHead(head, bool(encodings), _is_last(headers, version), version == "1.0")


class _Fields:
    """What llhttp calls while it reads a head."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: Headers = []
        self.is_too_many = False

    def on_url(self, piece: bytes) -> None:
        """A piece of the request's target."""
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if len(self.headers) >= MAX_HEADERS:
            self.is_too_many = True
            raise ValueError
        self.headers.append((name, value))


class Beginning:
    """Of a head whose end has not come; what is no head is refused as soon as that is sure."""

    def __init__(self) -> None:
        self._fields = _Fields()
        self._parser = httptools.HttpRequestParser(self._fields)
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
            _feed(self._parser, self._fields, piece)
        return end


def _feed(parser: httptools.HttpRequestParser, fields: _Fields, piece: bytes) -> None:
    try:
        parser.feed_data(piece)
    except httptools.HttpParserUpgrade:
        pass  # which nobody offers, so it is not heeded
    except httptools.HttpParserError as error:
        if fields.is_too_many:
            raise RefusedRequestError(431, f"expected at most {MAX_HEADERS} headers, received more") from None
        raise _malformed(str(error)) from error


def _malformed(text: str) -> RefusedRequestError:
    return RefusedRequestError(400, f"Malformed request: {text}")


def check_length(size: int) -> None:
    """Raises:
    RefusedRequestError: so many bytes are more than a head may have, as it is sent.
    """
    if size > MAX_HEADERS_BYTES + _LINES_BYTES:
        raise RefusedRequestError(431, f"expected at most {MAX_HEADERS_BYTES:,} bytes of headers, received more")


def _host(headers: Headers, version: str) -> bytes | None:
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1:
        shown = b",".join(hosts)[:_MOST_SHOWN].decode("latin-1")
        raise _malformed(f"expected one host, received {shown}")
    if not hosts and version == "1.1":
        raise _malformed("expected a host, received none")
    return hosts[0] if hosts else None


def _is_last(headers: Headers, version: str) -> bool:
    """Source: RFC 9112, section 9.3."""
    values = b",".join(value for name, value in headers if name == b"connection")
    options = {option.strip() for option in values.lower().split(b",")}
    return b"close" in options or (version == "1.0" and b"keep-alive" not in options)


def _parted(target: bytes) -> tuple[bytes | None, bytes]:
    """The host, where the target names it, and the path (RFC 9112, section 3.2.2)."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return None, target
    path = match["path"]
    return match["host"], path if path[:1] == b"/" else b"/" + path
