"""HTTP/1.1 requests that two servers might read differently, or that are none; and the status that each gets.

Sources: RFC 9112, sections 2.2, 3, 5 and 6, and the forms that request smuggling has been built on since 2005. A form
with `smuggled` in it carries a second request, which must never be answered.
"""

from __future__ import annotations

from typing import NamedTuple

BODY = b'{"instances":[[[1,2],[3,4]]]}'
_POST = b"POST /v1/models/brightness:predict HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n"
_GET = b"GET /healthz HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n"
SMUGGLED = b"GET /metrics?smuggled HTTP/1.1\r\nhost: gateway\r\n\r\n"


class Form(NamedTuple):
    """The bytes, and the only status that comes back; without one, the connection is closed in silence."""

    request: bytes
    status: str


def _post(headers: bytes, body: bytes = BODY) -> bytes:
    return _POST + headers + b"\r\n\r\n" + body


_CHUNKED_SMUGGLED = b"0\r\n\r\n" + SMUGGLED
FORMS = {
    "as it should be": Form(_post(b"content-length: 29"), "200"),
    "length and chunks": Form(_post(b"content-length: 5\r\ntransfer-encoding: chunked", _CHUNKED_SMUGGLED), "400"),
    "chunks and length": Form(_post(b"transfer-encoding: chunked\r\ncontent-length: 5", _CHUNKED_SMUGGLED), "400"),
    "two lengths": Form(_post(b"content-length: 29\r\ncontent-length: 0", BODY + SMUGGLED), "400"),
    "the same length twice": Form(_post(b"content-length: 29\r\ncontent-length: 29"), "400"),
    "a list of lengths": Form(_post(b"content-length: 29, 29"), "400"),
    "a signed length": Form(_post(b"content-length: +29"), "400"),
    "a negative length": Form(_post(b"content-length: -1"), "400"),
    "a length in hex": Form(_post(b"content-length: 0x1d"), "400"),
    "a length of twenty digits": Form(_post(b"content-length: 99999999999999999999"), "400"),
    "two encodings": Form(_post(b"transfer-encoding: chunked\r\ntransfer-encoding: x", _CHUNKED_SMUGGLED), "400"),
    "an unknown encoding": Form(_post(b"transfer-encoding: xchunked", _CHUNKED_SMUGGLED), "400"),
    "chunked, and then none": Form(_post(b"transfer-encoding: chunked, identity", _CHUNKED_SMUGGLED), "400"),
    "a blank before the colon": Form(_post(b"transfer-encoding : chunked", _CHUNKED_SMUGGLED), "400"),
    "a header without a colon": Form(_post(b"content-length 29"), "400"),
    "a folded header": Form(_post(b"x-folded: 1\r\n transfer-encoding: chunked\r\ncontent-length: 29"), "400"),
    "a bare CR in a header": Form(_GET + b"x-bare: 1\rtransfer-encoding: chunked\r\n\r\n", "400"),
    "bare LFs": Form(_GET.replace(b"\r\n", b"\n") + b"\n", "400"),
    "a NUL in a header": Form(_GET + b"x-nul: 1\0\r\n\r\n", "400"),
    "a chunk size that is none": Form(_post(b"transfer-encoding: chunked", b"zz\r\n"), "400"),
    "a chunk of 2^72 bytes": Form(_post(b"transfer-encoding: chunked", b"ffffffffffffffffff\r\n"), "400"),
    "a chunk without its end": Form(_post(b"transfer-encoding: chunked", b"1\r\nxx" + _CHUNKED_SMUGGLED), "400"),
    "no host": Form(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n", "400"),
    "two hosts": Form(_GET + b"host: other\r\n\r\n", "400"),
    "another host's address": Form(b"GET http://other/healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "200"),
    "a tunnel": Form(b"CONNECT other:80 HTTP/1.1\r\nhost: other\r\n\r\n", "400"),
    "an upgrade to HTTP/2": Form(_GET + b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAA\r\n\r\n", "200"),
    "HTTP/0.9": Form(b"GET /healthz\r\n\r\n", "400"),
    "HTTP/3.0": Form(b"GET /healthz HTTP/3.0\r\nhost: gateway\r\n\r\n", "400"),
    "the head of HTTP/2, and then none": Form(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", ""),
    "TLS": Form(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, "400"),
    "200 headers": Form(_GET + b"".join(b"x-%d: y\r\n" % n for n in range(200)) + b"\r\n", "431"),
    "100,000 headers": Form(_GET + b"".join(b"x-%d: y\r\n" % n for n in range(100_000)) + b"\r\n", "431"),
    "a header of a megabyte": Form(_GET + b"x-long: " + b"y" * 1_000_000 + b"\r\n\r\n", "431"),
    "an address of a megabyte": Form(b"GET /" + b"y" * 1_000_000 + b" HTTP/1.1\r\nhost: gateway\r\n\r\n", "431"),
}
