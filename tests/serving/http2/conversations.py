"""Hypothesis makes up what a client says: requests that overlap, in frames of every valid kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import hpack
from hypothesis import strategies as st

from serving.wire.http2 import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, FrameReader
from tests.serving.http2.stand import GRPC, USUAL, frame

PADDED, WITH_PRIORITY = 0x8, 0x20

names = st.sampled_from(["x-a", "x-b", "user-agent", "x-long", "grpc-timeout"])
texts = st.one_of(st.text("abc 7%é", max_size=12).map(str.strip), st.integers(0, 300).map(lambda size: "v" * size))
bodies = st.one_of(st.binary(max_size=60), st.integers(0, 5000).map(lambda size: bytes(range(256)) * 20 + bytes(size)))


class Asked(NamedTuple):
    """A request: its headers as the application sees them, its body, and whether it is a gRPC call."""

    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_grpc: bool

    def __repr__(self) -> str:
        return f"Asked({len(self.body)} bytes, is_grpc={self.is_grpc})"


class Conversation(NamedTuple):
    """What a client says, and what it asks by that; the streams are 1, 3, 5 and so on."""

    said: bytes
    asked: list[Asked]

    def __repr__(self) -> str:
        kinds = [(one.kind, one.flags, one.stream, len(one.payload)) for one in FrameReader().feed(self.said)]
        return f"Conversation({kinds[:50]}, {self.asked})"


def cut(said: bytes, sizes: list[int]) -> Iterable[bytes]:
    """The bytes in pieces of these sizes, again and again."""
    at = turn = 0
    while at < len(said):
        size = sizes[turn % len(sizes)]
        yield said[at : at + size]
        at, turn = at + size, turn + 1


class Speaker:
    """Says requests. Header blocks share a table, so they go in the order in which they are made."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._encoder = hpack.Encoder()
        self._encoder.header_table_size = draw(st.sampled_from([4096, 100, 0]))
        self._waiting: list[tuple[int, list[bytes], bool]] = []
        """Streams whose bodies are not all said: what is left, and whether trailers follow."""
        self.said: list[bytes] = []

    def ask(self, number: int) -> Asked:
        """Begins a request, and goes on with this one and others as far as Hypothesis likes."""
        draw = self._draw
        is_grpc, body, has_trailers = draw(st.booleans()), draw(bodies), draw(st.booleans())
        more = draw(st.lists(st.tuples(names, texts), max_size=3))
        fields = [*{**(GRPC if is_grpc else USUAL), ":path": f"/{number}"}.items(), *more]
        pairs = [(name.encode(), value.encode()) for name, value in fields]
        stream, has_body = 2 * number + 1, bool(body) or has_trailers
        self._say_block(stream, pairs, ends=not has_body)
        if has_body:
            sizes = draw(st.lists(st.integers(1 + len(body) // 20, 4000), min_size=1, max_size=3))
            self._waiting.append((stream, list(cut(body, sizes)) or [b""], has_trailers))
        while self._waiting and draw(st.booleans()):
            self._say_data()
        return Asked([(b"host", b"gateway"), *pairs[4:]], body, is_grpc)

    def end(self) -> None:
        """Says what is left."""
        while self._waiting:
            self._say_data()

    def _say_block(self, stream: int, fields: Any, *, ends: bool) -> None:
        draw = self._draw
        content = self._encoder.encode(fields, huffman=draw(st.booleans()))
        sizes = draw(st.lists(st.integers(1 + len(content) // 9, 200), max_size=3)) or [len(content)]
        first, *rest = cut(content, sizes)
        flags = END_STREAM if ends else 0
        if draw(st.booleans()):
            first, flags = b"\0\0\0\0\x10" + first, flags | WITH_PRIORITY
        self._say(HEADERS, flags | (0 if rest else END_HEADERS), stream, first)
        last = len(rest) - 1
        self.said.extend(
            frame(CONTINUATION, END_HEADERS if at == last else 0, stream, part) for at, part in enumerate(rest)
        )

    def _say_data(self) -> None:
        at = self._draw(st.integers(0, len(self._waiting) - 1))
        stream, pieces, has_trailers = self._waiting[at]
        piece = pieces.pop(0)
        self._say(DATA, 0 if pieces or has_trailers else END_STREAM, stream, piece)
        if not pieces:
            self._waiting.pop(at)
            if has_trailers:
                self._say_block(stream, [(self._draw(names), self._draw(texts))], ends=True)

    def _say(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        if self._draw(st.booleans()):
            padding = self._draw(st.integers(0, 255))
            content, flags = bytes([padding]) + content + bytes(padding), flags | PADDED
        self.said.append(frame(kind, flags, stream, content))


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Header blocks with a table, padding, priorities and continuations, bodies in pieces, and trailers."""
    speaker = Speaker(draw)
    asked = [speaker.ask(number) for number in range(draw(st.integers(1, 6)))]
    speaker.end()
    return Conversation(b"".join(speaker.said), asked)
