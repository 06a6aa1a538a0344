"""What all connections of a worker share."""

from __future__ import annotations

import email.utils
from typing import NamedTuple

from serving.http.answering import Answering
from serving.http.patience import Patience

_SERVER = b"atelier"


class Signature:
    """What every answer says beside what the application does: when it was made, and by what (RFC 9110)."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """To be called once a second."""
        date = email.utils.formatdate(usegmt=True).encode()
        self.headers = ((b"date", date), (b"server", _SERVER))
        self.lines = b"date: %b\r\nserver: %b\r\n" % (date, _SERVER)
        """The same, as HTTP/1.1 has it."""


class Service(NamedTuple):
    """How connections are served."""

    answering: Answering
    patience: Patience
    scheme: bytes
    """`https` over TLS, which HTTP/1.1 does not tell."""
    signature: Signature
