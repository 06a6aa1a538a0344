"""Request bodies: read whole, of all clients together so many bytes at a time."""

from __future__ import annotations

import asyncio

from serving.errors import OverloadedError, PayloadTooLargeError
from serving.frontends.http import ClientGoneError, Receive, Scope, encoding_of
from serving.in_thread import in_thread
from serving.wire.compression import ENCODINGS, MAX_INFLATED_AT_ONCE, inflate

_UNCOUNTED_BYTES = 64 * 1024
"""Bodies that are no longer take less than what the connection itself may buffer, and are most of them."""
_MAX_DROPPED_BYTES = 256 * 1024 * 1024


class InflightBytes:
    """How many bytes of bodies are held: from when they are received until their request is answered."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    def take(self, size: int) -> None:
        """Raises:
        OverloadedError: that would be more than there may be.
        """
        if self.held + size > self._max_bytes:
            raise OverloadedError(f"{self.held:,} bytes of requests are held, {size:,} more were sent")
        self.held += size


class Hold:
    """The bytes that one request holds, or one stream."""

    def __init__(self, inflight: InflightBytes) -> None:
        self._inflight = inflight
        self._size = 0

    def take(self, size: int) -> None:
        """Raises:
        OverloadedError: see `InflightBytes.take`.
        """
        self._inflight.take(size)
        self._size += size

    def give_back(self, size: int) -> None:
        """Says that so many of them are needed no more."""
        size = min(size, self._size)  # what has been closed holds nothing
        self._inflight.held -= size
        self._size -= size

    def close(self) -> None:
        """Gives all back; it may be used again."""
        self.give_back(self._size)


class Bodies:
    """Reads them; what was read counts until the task that reads has ended, which is when its request is answered."""

    def __init__(self, inflight: InflightBytes) -> None:
        self._inflight = inflight

    async def read(self, receive: Receive, max_bytes: int) -> bytes:
        """The whole request body.

        Raises:
            PayloadTooLargeError: more than `max_bytes`.
            OverloadedError: all clients together have sent too much.
            ClientGoneError: the client left in the middle of it.
        """
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            check_size(len(body), max_bytes)
            if len(body) > _UNCOUNTED_BYTES:
                self.count(len(body))
            return body
        hold = self._hold_of_task()
        chunks: list[bytes] = []
        size, refusal = 0, None
        while True:
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            size += len(chunk)
            if refusal is None:
                refusal = _kept(chunks, chunk, hold, size, max_bytes)
            # The rest is read and dropped, because many clients send all of their request before they look for an
            # answer, and would see a reset connection instead.
            if not message.get("more_body") or size > max_bytes + _MAX_DROPPED_BYTES:
                break
            message = await receive()
        if refusal is not None:
            raise refusal
        return b"".join(chunks)

    async def read_content(self, scope: Scope, receive: Receive, max_bytes: int) -> bytes:
        """The whole request body, inflated where it is compressed; other encodings are not looked at.

        Raises:
            InvalidInputError: it is damaged.
            PayloadTooLargeError, OverloadedError, ClientGoneError: see `read`; also where it inflates to more.
        """
        return await self.content_of(scope, await self.read(receive, max_bytes), max_bytes)

    async def content_of(self, scope: Scope, body: bytes, max_bytes: int) -> bytes:
        """The body, inflated where it is compressed.

        Raises:
            InvalidInputError, PayloadTooLargeError, OverloadedError: see `read_content`.
        """
        encoding = encoding_of(scope)
        if encoding not in ENCODINGS:
            return body
        if len(body) > MAX_INFLATED_AT_ONCE:
            body = await in_thread(None, inflate, body, encoding, max_bytes, what="request body")
        else:
            body = inflate(body, encoding, max_bytes, what="request body")
        self.count(len(body))
        return body

    def count(self, size: int) -> None:
        """Counts so many bytes more for this task, where they are worth it.

        Raises:
            OverloadedError: see `InflightBytes.take`.
        """
        if size > _UNCOUNTED_BYTES:
            self._hold_of_task().take(size)

    def _hold_of_task(self) -> Hold:
        hold = Hold(self._inflight)
        if (task := asyncio.current_task()) is not None:
            task.add_done_callback(lambda _: hold.close())
        return hold


def check_size(size: int, max_bytes: int) -> None:
    """Raises:
    PayloadTooLargeError: a body of `size` bytes is over the limit.
    """
    if size > max_bytes:
        raise PayloadTooLargeError(f"request body: expected at most {max_bytes:,} bytes, received more")


def _kept(
    chunks: list[bytes], chunk: bytes, hold: Hold, size: int, max_bytes: int
) -> PayloadTooLargeError | OverloadedError | None:
    """Keeps a chunk, or lets all go and says why."""
    try:
        check_size(size, max_bytes)
        hold.take(len(chunk))
    except (PayloadTooLargeError, OverloadedError) as error:
        chunks.clear()
        hold.close()
        return error.with_traceback(None)
    chunks.append(chunk)
    return None
