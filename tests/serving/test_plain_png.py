"""Small plain PNG files give the very pixels that Pillow's own reader gives, and all others are left to it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from serving.errors import InvalidInputError
from serving.images import ImageSpec, decode_image
from serving.plain_png import is_small_png, open_plain_png

SIDE = 28
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = len(SIGNATURE) + 25


def file_of(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def picture(mode: str = "L", side: int = SIDE) -> Image.Image:
    rows = np.add.outer(np.arange(side), np.arange(side) * 3) % 256
    return Image.fromarray(rows.astype(np.uint8)).convert(mode)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def written_by_hand(filters: bytes, pixels: np.ndarray, parts: int = 1) -> bytes:
    """A gray PNG whose lines are stored with these filters, its content in several chunks."""
    height, width = pixels.shape
    content = zlib.compress(b"".join(bytes([filters[row]]) + pixels[row].tobytes() for row in range(height)))
    cuts = [len(content) * part // parts for part in range(parts + 1)]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    chunks = [chunk(b"IDAT", content[cuts[part] : cuts[part + 1]]) for part in range(parts)]
    return SIGNATURE + header + b"".join(chunks) + chunk(b"IEND", b"")


def by_pillow(data: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("side", [1, 2, 27, 28])
def test_gray_and_colour_give_the_very_pixels(mode: str, side: int) -> None:
    image = picture(mode, side)
    opened = open_plain_png(file_of(image))
    assert opened is not None
    assert opened.mode == mode
    np.testing.assert_array_equal(np.asarray(opened), np.asarray(image))


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=40, max_size=40), st.integers(1, 4))
def test_whatever_the_filters_and_chunks_the_pixels_are_pillows(filters: bytes, content: bytes, parts: int) -> None:
    filters = bytes(one % 5 for one in filters)
    data = written_by_hand(filters, np.frombuffer(content, np.uint8).reshape(8, 5), parts)
    opened = open_plain_png(data)
    assert opened is not None
    np.testing.assert_array_equal(np.asarray(opened), by_pillow(data, "L"))


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "I;16"])
def test_other_kinds_are_left_to_pillow(mode: str) -> None:
    image = Image.fromarray(np.uint16([[0, 257]])) if mode == "I;16" else picture(mode)
    assert open_plain_png(file_of(image)) is None


def test_what_says_more_of_itself_is_left_to_pillow() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a digit")
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_plain_png(file_of(picture(), pnginfo=text)) is None
    assert open_plain_png(file_of(picture(), exif=exif)) is None
    assert open_plain_png(file_of(picture(), transparency=5)) is None


def test_what_is_damaged_is_left_to_pillow() -> None:
    data = file_of(picture())
    assert open_plain_png(data) is not None
    for at in range(len(data)):
        assert open_plain_png(data[:at]) is None
        broken = bytearray(data)
        broken[at] ^= 1
        assert open_plain_png(bytes(broken)) is None


def test_lines_that_are_missing_are_black_as_pillow_has_them() -> None:
    two_lines = written_by_hand(b"\0" * 2, np.full((2, 5), 9, np.uint8))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 8, 0, 0, 0, 0))
    data = SIGNATURE + header + two_lines[HEADER_END:]
    opened = open_plain_png(data)
    assert opened is not None
    np.testing.assert_array_equal(np.asarray(opened), by_pillow(data, "L"))
    assert np.asarray(opened)[2:].max() == 0


def test_what_is_small_is_told_by_the_header() -> None:
    data = file_of(picture())
    assert is_small_png(data)
    assert not is_small_png(data[:20])
    assert not is_small_png(data + bytes(2048))
    assert not is_small_png(data[:16] + b"\xff\xff\xff\xff" * 2 + data[24:])


def test_a_small_file_is_held_to_the_limit_of_pixels_too() -> None:
    with pytest.raises(InvalidInputError, match="expected at most 783 pixels, received 28 x 28 = 784"):
        decode_image(file_of(picture()), ImageSpec(SIDE, SIDE, "grayscale"), max_pixels=783)


@settings(max_examples=300)
@given(st.data())
def test_a_changed_file_gives_pillows_pixels_or_none(data: st.DataObject) -> None:
    content = bytearray(written_by_hand(b"\1\2\3\4", np.arange(20, dtype=np.uint8).reshape(4, 5)))
    begin = HEADER_END + 8
    end = content.index(b"IEND") - 8
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(begin, end - 1))] = data.draw(st.integers(0, 255))
    content[end : end + 4] = struct.pack(">I", zlib.crc32(content[begin - 4 : end]))
    opened = open_plain_png(bytes(content))
    if opened is not None:
        np.testing.assert_array_equal(np.asarray(opened), by_pillow(bytes(content), "L"))
