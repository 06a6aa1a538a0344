"""Small plain JPEG files give the very pixels that Pillow's own reader gives, and all others are left to it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, UnidentifiedImageError

from serving.errors import InvalidInputError
from serving.images import ImageSpec, decode_image
from serving.plain_jpeg import PlainJpeg, read_plain_jpeg
from tests.support.image_files import file_of, gradient

WIDTH, HEIGHT = 37, 26
START = b"\xff\xd8"
END = b"\xff\xd9"
NOTES_END = 20
"""Behind JFIF's own, which Pillow takes apart and libjpeg does not."""


def jpeg(mode: str = "RGB", width: int = WIDTH, height: int = HEIGHT, **options: Any) -> bytes:
    return file_of(gradient(mode, width, height), "JPEG", **options)


def by_pillow(data: bytes, full_side: int) -> np.ndarray | None:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.draft(None, (full_side, full_side))  # type: ignore[arg-type]  # no mode: as it is
            image.load()
            return np.asarray(image)
    except (OSError, SyntaxError, UnidentifiedImageError):
        return None


def plainly(data: bytes, full_side: int) -> np.ndarray | None:
    header = read_plain_jpeg(data)
    image = None if header is None else header.decode(data, full_side)
    return None if image is None else np.asarray(image)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quality": 30},
        {"quality": 100, "subsampling": 0},
        {"keep_rgb": True},
        {"subsampling": 2},
        {"optimize": True},
        {"restart_marker_blocks": 1},
        {"comment": b"a leaf", "dpi": (72, 72)},
        {"icc_profile": bytes(range(256)) * 10},
    ],
    ids=lambda options: "-".join(options) or "as usual",
)
def test_the_pixels_are_pillows(mode: str, options: dict[str, Any]) -> None:
    data = jpeg(mode, **options)
    assert read_plain_jpeg(data) == PlainJpeg(WIDTH, HEIGHT, mode)
    for full_side in (1, 2, 3, 6, 7, 13, 14, 100):
        np.testing.assert_array_equal(plainly(data, full_side), by_pillow(data, full_side))


@pytest.mark.parametrize(
    ("full_side", "size"), [(5, (8, 5)), (6, (15, 10)), (10, (15, 10)), (20, (30, 20)), (21, (60, 40))]
)
def test_it_is_decoded_smaller_while_both_sides_stay_as_long_as_asked(full_side: int, size: tuple[int, int]) -> None:
    data = jpeg(width=60, height=40)
    header = read_plain_jpeg(data)
    assert header is not None
    image = header.decode(data, full_side)
    assert image is not None
    assert image.size == size


def test_other_kinds_are_left_to_pillow() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    several = io.BytesIO()
    gradient().save(several, "MPO", save_all=True, append_images=[gradient()])
    assert read_plain_jpeg(jpeg(progressive=True)) is None
    assert read_plain_jpeg(jpeg("CMYK")) is None
    assert read_plain_jpeg(jpeg(exif=turned)) is None
    assert read_plain_jpeg(jpeg(xmp=b"<tiff:Orientation>6</tiff:Orientation>")) is None
    assert read_plain_jpeg(several.getvalue()) is None
    assert read_plain_jpeg(jpeg(width=1_000, height=1_000)) is not None
    assert read_plain_jpeg(jpeg(width=1_001, height=1_000)) is None
    assert read_plain_jpeg(file_of(gradient(), "PNG")) is None
    assert read_plain_jpeg(b"") is None


def test_an_image_is_turned_upright_however_small() -> None:
    turned = Image.Exif()
    turned[0x0112] = 3
    spec = ImageSpec(HEIGHT, WIDTH, "rgb")
    np.testing.assert_array_equal(decode_image(jpeg(exif=turned), spec), decode_image(jpeg(), spec)[::-1, ::-1])


def test_a_file_whose_first_scan_is_not_the_whole_image_is_left_to_pillow() -> None:
    data = bytearray(jpeg())
    scan = data.index(b"\xff\xda")
    data[scan + 4] = 1
    assert read_plain_jpeg(bytes(data)) is None


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_second_scan_is_not_decoded(mode: str) -> None:
    data = jpeg(mode)
    scan = data[data.index(b"\xff\xda") : -len(END)]
    header = read_plain_jpeg(data)
    assert header is not None
    assert header.decode(data, 100) is not None
    assert header.decode(data[: -len(END)] + scan + END, 100) is None


def test_a_header_of_many_notes_is_left_to_pillow() -> None:
    data = jpeg()
    note = b"\xff\xfe\x00\x03x"
    assert read_plain_jpeg(START + note * 20 + data[2:]) is not None
    assert read_plain_jpeg(START + note * 100_000 + data[2:]) is None


def test_what_follows_the_image_is_bounded() -> None:
    assert read_plain_jpeg(jpeg() + bytes(4_000_000)) is not None
    assert read_plain_jpeg(jpeg() + bytes(5_000_000)) is None


@pytest.mark.parametrize("length", [0, 1])
def test_a_segment_without_a_length_ends_the_header(length: int) -> None:
    assert read_plain_jpeg(START + b"\xff\xfe" + length.to_bytes(2, "big") + jpeg()[2:]) is None


def test_exif_behind_the_frame_is_seen_too() -> None:
    data = jpeg()
    scan = data.index(b"\xff\xda")
    assert read_plain_jpeg(data[:scan] + b"\xff\xe1\x00\x08Exif\0\0" + data[scan:]) is None


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_wherever_a_file_ends_nothing_is_made_up(mode: str) -> None:
    data = jpeg(mode)
    whole = plainly(data, 100)
    for length in range(len(data)):
        pixels = plainly(data[:length], 100)
        if pixels is not None:
            np.testing.assert_array_equal(pixels, by_pillow(data[:length], 100))
            np.testing.assert_array_equal(pixels, whole)


@settings(max_examples=600)
@given(st.data())
def test_a_changed_file_gives_pillows_pixels_or_none(data: st.DataObject) -> None:
    content = bytearray(jpeg(data.draw(st.sampled_from(["L", "RGB"])), restart_marker_blocks=3))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(NOTES_END, len(content) - 1))] = data.draw(st.integers(0, 255))
    full_side = data.draw(st.sampled_from([4, 9, 100]))
    pixels = plainly(bytes(content), full_side)
    if pixels is not None:
        np.testing.assert_array_equal(pixels, by_pillow(bytes(content), full_side))


def test_the_limit_of_pixels_holds_here_too() -> None:
    with pytest.raises(InvalidInputError, match="expected at most 961 pixels, received 37 x 26 = 962"):
        decode_image(jpeg(), ImageSpec(8, 8, "rgb"), max_pixels=961)
