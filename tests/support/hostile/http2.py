"""HTTP/2 frames written by hand, for clients that follow none of its manners.

Source: RFC 9113 (frames) and RFC 7541 (header blocks; every field a literal that is not indexed).
"""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from tests.support.hostile.raw import CLOSED, Address, connection, send

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
PRIORITY = 2
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = struct.pack(">I", 8)
MAX_FRAME_BYTES = 16_384
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(value: str) -> bytes:
    content, length = value.encode(), len(value.encode())
    if length < 127:
        return bytes([length]) + content
    head, length = bytearray([127]), length - 127
    while length >= 128:
        head.append(length % 128 + 128)
        length //= 128
    head.append(length)
    return bytes(head) + content


def block(fields: Iterable[tuple[str, str]]) -> bytes:
    """A header block."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def grpc_fields(path: str = PREDICT) -> list[tuple[str, str]]:
    """The headers of a gRPC call."""
    pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "gateway")]
    return [*pseudo, ("content-type", "application/grpc"), ("te", "trailers")]


def settled() -> bytes:
    """What opens a connection."""
    return PREFACE + frame(SETTINGS, 0, 0)


def headers(stream: int, fields: Iterable[tuple[str, str]], flags: int = 0) -> Iterator[bytes]:
    """A HEADERS frame and as many CONTINUATIONs as its fields need."""
    content = block(fields)
    parts = [content[start : start + MAX_FRAME_BYTES] for start in range(0, len(content), MAX_FRAME_BYTES)]
    for index, part in enumerate(parts):
        last = END_HEADERS if index == len(parts) - 1 else 0
        yield frame(HEADERS if not index else CONTINUATION, last | (flags if not index else 0), stream, part)


def grpc_call(
    stream: int,
    message: bytes,
    metadata: Iterable[tuple[str, str]] = (),
    *,
    framed: bool = False,
    path: str = PREDICT,
) -> Iterator[bytes]:
    """A whole call; `framed` where the message, or several, already stand behind gRPC's own five bytes."""
    yield from headers(stream, [*grpc_fields(path), *metadata])
    body = message if framed else struct.pack(">BI", 0, len(message)) + message
    for start in range(0, len(body), MAX_FRAME_BYTES):
        part = body[start : start + MAX_FRAME_BYTES]
        yield frame(DATA, END_STREAM if start + MAX_FRAME_BYTES >= len(body) else 0, stream, part)


def frames_of(content: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each whole frame that came back."""
    start = 0
    while len(content) >= start + 9:
        end = start + 9 + int.from_bytes(content[start : start + 3], "big")
        stream = int.from_bytes(content[start + 5 : start + 9], "big")
        yield content[start + 3], content[start + 4], stream, content[start + 9 : end]
        start = end


def told(content: bytes) -> Counter[str]:
    """What the gateway said in frames of its own choice: answers, resets, and why it ended the connection."""
    found: Counter[str] = Counter()
    for kind, flags, _, payload in frames_of(content):
        if kind == HEADERS and flags & END_STREAM:
            found["answered"] += 1
        elif kind == RST_STREAM:
            found["reset"] += 1
        elif kind == GOAWAY and len(payload) >= 8:
            found[f"goaway {int.from_bytes(payload[4:8], 'big')}"] += 1
    return found


def told_after(address: Address, frames: Iterable[bytes], *, calls: int = 0) -> Counter[str]:
    """Sends frames until the gateway takes no more or there are no more; then what it said.

    Ends when the gateway has closed the connection, or has read everything and answered or reset so many `calls`.
    """
    with connection(address) as opened:
        send(opened, settled())
        opened.recv(65536)  # the gateway's settings, by which a stream may send a MiB once they are acknowledged
        acknowledged = frame(SETTINGS, ACK, 0)
        sent = itertools.chain([acknowledged], _in_bulk(frames), [frame(PING, 0, 0, b"last one")])
        took_all = all(send(opened, some) for some in sent)
        content = bytearray()
        try:
            while not (took_all and _is_answered(bytes(content), calls)):
                received = opened.recv(65536)
                if not received:
                    break
                content += received
        except ConnectionError:
            received = b""
    return told(bytes(content)) + Counter({CLOSED: int(not received)})


def _is_answered(content: bytes, calls: int) -> bool:
    """Whether the last ping came back, and as many calls."""
    frames = list(frames_of(content))
    ended = sum(kind == RST_STREAM or (kind == HEADERS and flags & END_STREAM != 0) for kind, flags, *_ in frames)
    return ended >= calls and any(kind == PING and payload == b"last one" for kind, *_, payload in frames)


def _in_bulk(frames: Iterable[bytes]) -> Iterator[bytes]:
    source = iter(frames)
    while some := b"".join(itertools.islice(source, 256)):
        yield some


def reset_rapidly(address: Address, count: int) -> Counter[str]:
    """Calls that are cancelled as soon as they are made."""
    streams = range(1, 2 * count, 2)
    calls = ([*headers(stream, grpc_fields()), frame(RST_STREAM, 0, stream, CANCEL)] for stream in streams)
    return told_after(address, itertools.chain.from_iterable(calls))


def open_streams(address: Address, count: int) -> Counter[str]:
    """Calls that never send their message, all at once."""
    return told_after(address, (part for n in range(count) for part in headers(2 * n + 1, grpc_fields())))


def continue_forever(address: Address, count: int) -> Counter[str]:
    """Headers in so many pieces, which never end."""
    piece = frame(CONTINUATION, 0, 1, block([("x", "y" * 100)]))
    return told_after(address, _begun(itertools.repeat(piece, count)))


def continue_with_nothing(address: Address, count: int) -> Counter[str]:
    """Headers in so many empty pieces."""
    return told_after(address, _begun(itertools.repeat(frame(CONTINUATION, 0, 1), count)))


def flood(kind: int, payload: bytes = b"", stream: int = 0) -> Callable[[Address, int], Counter[str]]:
    """So many frames of one kind; of a stream, behind the headers of a call."""

    def attack(address: Address, count: int) -> Counter[str]:
        frames = itertools.repeat(frame(kind, 0, stream, payload), count)
        return told_after(address, itertools.chain(headers(1, grpc_fields()) if stream else (), frames))

    return attack


def metadata_of(entries: int) -> Callable[[Address, int], Counter[str]]:
    """Calls with that many entries of metadata."""

    def attack(address: Address, count: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(count):
            found += told_after(address, _call_with(entries), calls=1)
        return found

    return attack


@lru_cache(maxsize=1)
def _call_with(entries: int) -> Sequence[bytes]:
    return list(grpc_call(1, b"", [(f"x-{n}", "v") for n in range(entries)]))


def _begun(frames: Iterable[bytes]) -> Iterator[bytes]:
    yield frame(HEADERS, 0, 1, block(grpc_fields()))
    yield from frames
