"""One gRPC call, header by header and frame by frame, where the official client writes its own."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from serving.wire.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    FrameReader,
    decode_fields,
    encode_fields,
    frame_head,
)

STREAM = 1


class RawAnswer(NamedTuple):
    """Headers and trailers together, and what came between them."""

    fields: Mapping[str, str]
    body: bytes


def framed(message: bytes, flag: int = 0) -> bytes:
    """A message behind gRPC's own five bytes."""
    return struct.pack(">BI", flag, len(message)) + message


def raw_call(address: str, path: str, changed: Mapping[str, str | None], pieces: Sequence[bytes]) -> RawAnswer:
    """The answer to a call with these headers besides the usual ones, None for one that is left out, and this body.

    Raises:
        ConnectionError: the stream was reset, or the connection closed.
    """
    usual = {":method": "POST", ":scheme": "http", ":authority": address, ":path": path}
    fields = {**usual, "te": "trailers", "content-type": "application/grpc", **changed}
    block = encode_fields([(name.encode(), value.encode()) for name, value in fields.items() if value is not None])
    sent = [PREFACE, frame_head(HEADERS, END_HEADERS, STREAM, len(block)), block]
    for number, piece in enumerate(pieces, 1):
        sent += [frame_head(DATA, END_STREAM if number == len(pieces) else 0, STREAM, len(piece)), piece]
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=60.0) as connection:
        connection.sendall(b"".join(sent))
        return _answer(connection)


def _answer(connection: socket.socket) -> RawAnswer:
    reader, found, body = FrameReader(), {}, b""
    while received := connection.recv(65_536):
        for frame in reader.feed(received):
            if frame.kind == SETTINGS and not frame.flags & ACK:
                connection.sendall(frame_head(SETTINGS, ACK, 0, 0))
            if frame.stream != STREAM:
                continue
            if frame.kind == RST_STREAM:
                raise ConnectionError("the stream was reset")
            if frame.kind == HEADERS:
                found.update({name.decode(): value.decode() for name, value in decode_fields(frame.content()).items()})
            elif frame.kind == DATA:
                body += frame.content()
            if frame.flags & END_STREAM:
                return RawAnswer(found, body)
    raise ConnectionError("the connection was closed")
