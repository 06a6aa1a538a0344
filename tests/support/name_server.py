"""A DNS server on a loopback port that knows one thing: the addresses that it was given last, whatever the name."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Sequence

_A, _IN = 1, 1
_ANSWERED = 0x8580  # a response, authoritative, with recursion desired and available
_NAME_OF_QUESTION = 0xC00C  # a pointer to byte 12 of the message


class NameServer:
    """See `name_server`."""

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        self.port: int = udp.getsockname()[1]
        self.addresses: Sequence[str] = ()

    def answer_until_told(self) -> None:
        """Takes questions of RFC 1035, one a message, and answers those for A; an empty message ends it."""
        while True:
            question, client = self._udp.recvfrom(512)
            if not question:
                return
            self._udp.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        end = 12
        while question[end]:  # labels, each after its length
            end += question[end] + 1
        asked = question[12 : end + 5]
        kind, _ = struct.unpack("!HH", asked[-4:])
        found = self.addresses if kind == _A else ()
        records = [
            struct.pack("!HHHIH", _NAME_OF_QUESTION, _A, _IN, 0, 4) + socket.inet_aton(address) for address in found
        ]
        return question[:2] + struct.pack("!HHHHH", _ANSWERED, 1, len(records), 0, 0) + asked + b"".join(records)


@contextlib.contextmanager
def name_server() -> Iterator[NameServer]:
    """A DNS server, gone when the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        server = NameServer(udp)
        thread = threading.Thread(target=server.answer_until_told)
        thread.start()
        try:
            yield server
        finally:
            udp.sendto(b"", udp.getsockname())
            thread.join()
