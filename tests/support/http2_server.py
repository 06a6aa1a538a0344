"""An HTTP/2 server that says what a test tells it to, word by word."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import hpack

from serving.wire import http2 as frames
from serving.wire.http2 import Frame, FrameReader, frame_head, settings_frame

_MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass
class Request:
    """What has come of a call."""

    fields: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False


class Peer:
    """One client's connection, from the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader(max_frame_bytes=2**24 - 1)
        self._decoder = hpack.Decoder()
        self._came: list[Frame] = []
        self.requests: dict[int, Request] = {}
        self.closed = asyncio.Event()
        """Set once the client has ended the connection."""

    async def greet(self, settings: Mapping[int, int] | None = None) -> None:
        """Reads what a client says first, and says what a server does."""
        assert await self._reader.readexactly(len(_MAGIC)) == _MAGIC
        self.send(settings_frame(settings or {}))

    async def frame(self, *kinds: int) -> Frame:
        """The next frame of one of these kinds; those before it are taken note of."""
        while True:
            while self._came:
                frame = self._came.pop(0)
                self._note(frame)
                if frame.kind in kinds:
                    return frame
            data = await self._reader.read(65_536)
            if not data:
                self.closed.set()
                raise EOFError
            self._came += self._frames.feed(data)

    async def request(self) -> int:
        """The stream of the next whole request."""
        while True:
            frame = await self.frame(frames.HEADERS, frames.DATA)
            if self.requests[frame.stream].is_whole:
                return frame.stream

    async def until_closed(self) -> None:
        """Returns once the client has ended the connection."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                await self.frame()

    def send(self, data: bytes) -> None:
        """Says something."""
        self._writer.write(data)

    def answer(self, stream: int, message: bytes) -> None:
        """Answers a call as a gRPC server does."""
        framed = b"\0" + len(message).to_bytes(4, "big") + message
        self.send(headers(stream, {":status": "200", "content-type": "application/grpc"}))
        self.send(frame_head(frames.DATA, 0, stream, len(framed)) + framed)
        self.send(headers(stream, {"grpc-status": "0"}, ends=True))

    def end(self) -> None:
        """Ends the connection."""
        self._writer.close()

    def _note(self, frame: Frame) -> None:
        if frame.kind == frames.HEADERS:
            self.requests[frame.stream] = Request(dict(self._decoder.decode(frame.payload, raw=True)))
        elif frame.kind == frames.DATA:
            self.requests[frame.stream].body += frame.payload
        if frame.kind in {frames.HEADERS, frames.DATA}:
            self.requests[frame.stream].is_whole = bool(frame.flags & frames.END_STREAM)


class Http2Server:
    """Listens; `peer` is the next client."""

    def __init__(self, server: asyncio.Server, peers: asyncio.Queue[Peer]) -> None:
        self._server = server
        self._peers = peers
        self.port: int = server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    async def peer(self) -> Peer:
        """The next client that connects."""
        return await self._peers.get()


@contextlib.asynccontextmanager
async def http2_server(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Http2Server]:
    """Listens until the block ends."""
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        peers.put_nowait(Peer(reader, writer))

    server = await asyncio.start_server(connected, host, port)
    try:
        yield Http2Server(server, peers)
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def block(fields: Mapping[str, str]) -> bytes:
    """A header block without a table."""
    return frames.encode_fields([(name.encode(), value.encode()) for name, value in fields.items()])


def headers(stream: int, fields: Mapping[str, str], *, ends: bool = False) -> bytes:
    """A HEADERS frame."""
    content = block(fields)
    flags = frames.END_HEADERS | (frames.END_STREAM if ends else 0)
    return frame_head(frames.HEADERS, flags, stream, len(content)) + content
