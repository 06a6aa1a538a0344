"""The fields of a request over HTTP/2 as its head. Source: RFC 9113, section 8: what a request has to have."""

from __future__ import annotations

import re

from serving.http.requests import Client, Head, Headers, MalformedRequestError, Target, make_head, too_much
from serving.wire.http2 import Fields

_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_CONNECTIONS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")


def head_of(fields: Fields, client: Client | None) -> Head:
    """What the fields of a request say.

    Raises:
        MalformedRequestError: its stream is to be reset.
    """
    size = sum(len(name) + len(value) for name, value in fields)
    pseudo, headers = _parted(fields, size)
    method, path, scheme = pseudo.get(b":method"), pseudo.get(b":path"), pseudo.get(b":scheme")
    if not method or not path or not scheme or method == b"CONNECT":
        raise MalformedRequestError("no :method, :scheme or :path")
    return make_head(Target(method, scheme, pseudo.get(b":authority"), path), headers, client, "2", size)


def are_trailers(fields: Fields) -> bool:
    """Whether these fields may stand behind a body."""
    return all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in fields)


def _parted(fields: Fields, size: int) -> tuple[dict[bytes, bytes], Headers]:
    """The pseudo-header fields, and the headers; far too many are not looked at one by one."""
    check = too_much(len(fields) - len(_PSEUDO), size) is None
    pseudo: dict[bytes, bytes] = {}
    headers: Headers = []
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
