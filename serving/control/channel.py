"""The socket between the supervisor and one worker: how messages are framed.

Its end is a message too: a worker whose supervisor is gone, however it died, ends itself.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Self

import orjson

from serving.control.messages import Message

_LENGTH_BYTES = 4


class Channel:
    """One end of the socket.

    A message is the length of what follows in bytes, as 4 bytes big-endian, and a JSON array of its kind and content.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Self:
        """Takes over a connected stream socket, on the event loop that runs now."""
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, kind: str, content: Any = None) -> None:
        """Tells the other side; what it does not hear any more is dropped."""
        if not self._writer.is_closing():
            document = orjson.dumps([kind, content], default=tuple, option=orjson.OPT_NON_STR_KEYS)
            self._writer.write(len(document).to_bytes(_LENGTH_BYTES, "big") + document)

    async def receive(self) -> Message | None:
        """The next message; None once the other side is gone."""
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES), "big")
            return Message(*orjson.loads(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError):
            return None

    def close(self) -> None:
        """Lets the other side know that nobody is here any more."""
        self._writer.close()
