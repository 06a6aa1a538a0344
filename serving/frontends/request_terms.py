"""What a request's headers say of its deadline, its priority and its client."""

from __future__ import annotations

from serving.batching.terms import Priority, Terms
from serving.errors import InvalidInputError
from serving.frontends.http import Scope, loop_time
from serving.wire.grpc_framing import parse_timeout

PRIORITY_HEADER = b"x-atelier-priority"
_PRIORITIES = {"high": Priority.HIGH, "low": Priority.LOW}
_MAX_CLIENT_CHARACTERS = 256


class TermsReader:
    """Reads `Terms` from requests.

    A client is known by its address, or by `client_header`, where one is configured and sent: behind a proxy all
    requests come from one address. The header has to be one that clients cannot choose freely.
    """

    def __init__(self, client_header: str) -> None:
        self._client_header = client_header.lower().encode("latin-1")

    def read(self, scope: Scope, headers: dict[bytes, bytes]) -> Terms:
        """The terms of one request; `headers` are its headers by their lower-case names.

        Raises:
            InvalidInputError: a `grpc-timeout` or a priority that is none.
        """
        timeout = headers.get(b"grpc-timeout")
        deadline = None if timeout is None else loop_time() + parse_timeout(timeout.decode("latin-1"))
        named = headers.get(PRIORITY_HEADER)
        priority = Priority.HIGH if named is None else parse_priority(named.decode("latin-1"))
        sent = headers.get(self._client_header) if self._client_header else None
        if sent is not None:
            return Terms(deadline, priority, sent[:_MAX_CLIENT_CHARACTERS].decode("latin-1"), headers)
        peer = scope.get("client")
        return Terms(deadline, priority, peer[0] if peer else "", headers)


def parse_priority(text: str) -> Priority:
    """`high` or `low`.

    Raises:
        InvalidInputError: something else.
    """
    try:
        return _PRIORITIES[text.strip().lower()]
    except KeyError:
        name = PRIORITY_HEADER.decode()
        raise InvalidInputError(f"{name}: expected high or low, received {text[:20]!r}") from None
