"""Image files to pixels: every format and mode, and every way in which a file can be bad."""

from __future__ import annotations

import io
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from serving.errors import InvalidInputError
from serving.images import ImageSpec, decode_image
from tests.support.image_files import (
    PNG_SIGNATURE,
    bmp_header,
    file_of,
    gif_header,
    gradient,
    many_scans_jpeg,
    png_chunk,
    png_header,
    webp_header,
)

WIDTH, HEIGHT = 12, 8
RGB = ImageSpec(HEIGHT, WIDTH, "rgb")
GRAYSCALE = ImageSpec(HEIGHT, WIDTH, "grayscale")
LOSSLESS = {"PNG": {}, "BMP": {}, "WEBP": {"lossless": True}}


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[ExifTags.Base.Orientation] = orientation
    data[ExifTags.Base.Make] = "Atelier"
    data[ExifTags.IFD.Exif] = {0xA002: 5}
    return data


def refusal(data: bytes, spec: ImageSpec = RGB, **limits: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        decode_image(data, spec, **limits)
    return str(caught.value)


@pytest.mark.parametrize("image_format", LOSSLESS)
@pytest.mark.parametrize("spec", [RGB, GRAYSCALE], ids=["rgb", "grayscale"])
def test_lossless_formats_give_the_very_pixels(image_format: str, spec: ImageSpec) -> None:
    image = gradient()
    pixels = decode_image(file_of(image, image_format, **LOSSLESS[image_format]), spec)

    assert (pixels.shape, pixels.dtype) == (spec.shape, np.uint8)
    np.testing.assert_array_equal(pixels, np.asarray(image if spec is RGB else image.convert("L")))


@pytest.mark.parametrize(("image_format", "tolerance"), [("JPEG", 8), ("WEBP", 8), ("GIF", 24)])
def test_lossy_formats_give_nearly_the_pixels(image_format: str, tolerance: int) -> None:
    pixels = decode_image(file_of(gradient(), image_format), RGB)
    assert np.abs(pixels.astype(int) - np.asarray(gradient())).mean() <= tolerance


@pytest.mark.parametrize("shrinking", [7, 8, 16, 32, 50])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("spec", [RGB, GRAYSCALE], ids=["rgb", "grayscale"])
def test_a_jpeg_much_larger_than_the_spec_gives_nearly_the_pixels_of_the_whole(
    spec: ImageSpec, orientation: int, shrinking: int
) -> None:
    photo = photograph(WIDTH * shrinking, WIDTH * shrinking + 5)
    data = file_of(photo, "JPEG", exif=exif(orientation))
    with Image.open(io.BytesIO(data)) as image:
        whole = ImageOps.exif_transpose(image).convert("RGB" if spec is RGB else "L")
    expected = np.asarray(whole.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)).astype(int)

    difference = np.abs(decode_image(data, spec) - expected)
    assert difference.mean() <= (3.0 if shrinking >= 8 else 0.0)


def photograph(width: int, height: int) -> Image.Image:
    """Soft shapes with grain."""
    random = np.random.default_rng(width)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return Image.fromarray(np.clip(soft + random.normal(0, 6, soft.shape), 0, 255).astype(np.uint8))


def test_the_limit_is_held_against_the_whole_of_a_jpeg() -> None:
    data = file_of(photograph(200, 100), "JPEG")
    assert decode_image(data, ImageSpec(4, 4, "rgb"), max_pixels=20_000).shape == (4, 4, 3)
    assert "received 200 x 100 = 20,000" in refusal(data, ImageSpec(4, 4, "rgb"), max_pixels=19_999)


@pytest.mark.parametrize("image_format", ["TIFF", "ICO", "PPM", "PDF"])
def test_other_formats_are_refused(image_format: str) -> None:
    assert refusal(file_of(gradient(), image_format)).startswith("not an image: expected PNG, JPEG, WEBP, GIF, BMP")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "JPEG"])
def test_images_are_turned_upright(orientation: int, image_format: str) -> None:
    data = file_of(gradient(), image_format, exif=exif(orientation), **LOSSLESS.get(image_format, {}))
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    spec = ImageSpec(upright.height, upright.width, "rgb")

    np.testing.assert_array_equal(decode_image(data, spec), np.asarray(upright))
    assert (upright.size == (HEIGHT, WIDTH)) == (orientation >= 5)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    data = file_of(gradient(), "PNG", exif=exif(orientation))
    np.testing.assert_array_equal(decode_image(data, RGB), np.asarray(gradient()))


def test_alpha_is_dropped() -> None:
    image = gradient("RGBA")
    image.putalpha(0)
    np.testing.assert_array_equal(decode_image(file_of(image, "PNG"), RGB), np.asarray(gradient()))
    gray = gradient("LA")
    gray.putalpha(7)
    np.testing.assert_array_equal(decode_image(file_of(gray, "PNG"), GRAYSCALE), np.asarray(gradient("L")))


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 250, 2))], ids=["none", "one colour", "a table"])
@pytest.mark.parametrize("spec", [RGB, GRAYSCALE], ids=["rgb", "grayscale"])
def test_palettes_are_resolved_whatever_their_transparency(transparency: int | bytes | None, spec: ImageSpec) -> None:
    image = gradient("P")
    options = {} if transparency is None else {"transparency": transparency}
    expected = image.convert("RGB") if spec is RGB else image.convert("L")

    np.testing.assert_array_equal(decode_image(file_of(image, "PNG", **options), spec), np.asarray(expected))


@pytest.mark.parametrize(("mode", "transparency"), [("L", 5), ("RGB", (1, 2, 3))])
@pytest.mark.parametrize("spec", [RGB, GRAYSCALE], ids=["rgb", "grayscale"])
def test_a_transparent_colour_is_a_colour(mode: str, transparency: int | tuple[int, ...], spec: ImageSpec) -> None:
    plain, marked = (file_of(gradient(mode), "PNG", **options) for options in ({}, {"transparency": transparency}))
    np.testing.assert_array_equal(decode_image(marked, spec), decode_image(plain, spec))


def test_cmyk_photos_come_in_colour_and_in_gray() -> None:
    data = file_of(gradient("CMYK"), "JPEG", quality=95)

    assert np.abs(decode_image(data, RGB).astype(int) - np.asarray(gradient())).max() <= 16
    assert decode_image(data, GRAYSCALE).shape == (HEIGHT, WIDTH)


def test_sixteen_bit_grayscale_is_scaled_and_not_clipped() -> None:
    values = np.uint16([[0, 257, 32896, 65535]])
    data = file_of(Image.fromarray(values), "PNG")

    assert decode_image(data, ImageSpec(1, 4, "grayscale")).tolist() == [[0, 1, 128, 255]]
    assert decode_image(data, ImageSpec(1, 4, "rgb"))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_grayscale_is_turned_upright_too() -> None:
    data = file_of(Image.fromarray(np.uint16([[0, 65535]])), "PNG", exif=exif(6))
    assert decode_image(data, ImageSpec(2, 1, "grayscale")).tolist() == [[0], [255]]


@pytest.mark.parametrize("image_format", ["PNG", "BMP"])
def test_one_bit_images_are_black_and_white(image_format: str) -> None:
    data = file_of(Image.fromarray(np.array([[True, False, True]])), image_format)
    assert decode_image(data, ImageSpec(1, 3, "grayscale")).tolist() == [[255, 0, 255]]


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("L", (WIDTH, HEIGHT), value) for value in (200, 0, 100)]
    for image_format in ("GIF", "WEBP", "PNG"):
        data = file_of(
            frames[0], image_format, save_all=True, append_images=frames[1:], **LOSSLESS.get(image_format, {})
        )
        assert decode_image(data, GRAYSCALE).tolist() == [[200] * WIDTH] * HEIGHT


@pytest.mark.parametrize("size", [(1, 1), (5, 31), (64, 64)])
def test_images_are_resized_to_the_spec_without_cropping(size: tuple[int, int]) -> None:
    height, width = size
    pixels = decode_image(file_of(gradient(), "PNG"), ImageSpec(height, width, "rgb"))

    expected = gradient().resize((width, height), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(pixels, np.asarray(expected))


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (5, 16_385)])
def test_a_spec_without_pixels_or_with_too_many_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected a size of 1 to 16384 pixels"):
        ImageSpec(*size, "rgb")


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (b"", "received 0 bytes that start with nothing"),
        (b"hello, world", "received 12 bytes that start with 68 65 6c"),
    ],
)
def test_what_is_no_image_is_refused_with_what_it_starts_with(data: bytes, start: str) -> None:
    assert refusal(data).startswith("not an image: expected PNG, JPEG, WEBP, GIF, BMP, " + start)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_truncated_file_is_refused_or_whole_wherever_it_ends(image_format: str) -> None:
    data = file_of(gradient(), image_format)
    whole = decode_image(data, RGB)
    for length in range(len(data)):
        try:
            pixels = decode_image(data[:length], RGB)
        except InvalidInputError:
            continue
        assert length >= len(data) - 24, "only checksums and the file's trailer may be missing"
        np.testing.assert_array_equal(pixels, whole)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_file_that_ends_in_its_pixels_is_called_damaged(image_format: str) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = file_of(noise, image_format)
    assert refusal(data[: len(data) * 2 // 3]).startswith("the image is damaged and cannot be decoded: ")


@pytest.mark.parametrize(
    "data",
    [
        png_header(20_000, 20_000),
        png_header(2**31 - 1, 2**31 - 1),
        png_header(7_072, 7_072),
        gif_header(65_535, 65_535, 1, 1),
        gif_header(1, 1, 65_535, 65_535),
        bmp_header(20_000, 20_000),
        bmp_header(20_000, -20_000),
        webp_header(16_383, 16_383),
        webp_header(2**24, 2**24),
    ],
    ids=["png", "largest png", "png just over", "gif", "gif frame", "bmp", "bmp upside down", "webp", "largest webp"],
)
def test_a_bomb_is_refused_by_its_header(data: bytes) -> None:
    assert len(data) < 200
    assert refusal(data).startswith("the image is too large: expected at most 50,000,000 pixels, received ")


def test_between_pillows_warning_and_its_error_no_warning_escapes() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS < 10_000 * 10_000 < 2 * Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        text = refusal(png_header(10_000, 10_000))

    assert text.endswith("received 10000 x 10000 = 100,000,000")
    assert caught == []


def test_a_limit_above_pillows_own_is_told_truthfully() -> None:
    assert refusal(png_header(20_000, 20_000), max_pixels=10**9) == (
        "the image is too large: expected at most 178,956,970 pixels, received more than 178,956,970"
    )


def test_the_limit_is_exact() -> None:
    data = file_of(gradient(), "PNG")
    assert decode_image(data, RGB, max_pixels=WIDTH * HEIGHT).shape == RGB.shape
    assert "expected at most 95 pixels, received 12 x 8 = 96" in refusal(data, max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.parametrize(("side", "scans"), [(2_000, 40_000), (900, 100_000)])
def test_a_small_file_that_keeps_the_decoder_busy_is_given_up(side: int, scans: int) -> None:
    busy = many_scans_jpeg(side, scans)
    assert len(busy) < 2_000_000
    started_s = time.thread_time()
    text = refusal(busy, max_cpu_s=0.05)
    assert text == "the image takes too long to decode: expected at most 0.05 s of processor time"
    whole_s = scans * cost_of_a_scan_s(side)
    assert time.thread_time() - started_s < whole_s / 4


def cost_of_a_scan_s(side: int) -> float:
    started_s = time.thread_time()
    decode_image(many_scans_jpeg(side, 200), GRAYSCALE)
    return (time.thread_time() - started_s) / 200


def test_a_compressed_text_chunk_does_not_blow_up() -> None:
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 50_000_000))
    whole = file_of(gradient(), "PNG")
    head = len(PNG_SIGNATURE) + 25
    assert refusal(whole[:head] + bomb + whole[head:])


@pytest.mark.parametrize("damage", [b"\xff" * 8, b"\0\0\0\0"])
def test_damaged_exif_data_does_not_hide_the_image(damage: bytes) -> None:
    data = bytearray(file_of(gradient(), "PNG", exif=exif(1)))
    at = data.index(b"eXIf")
    length = struct.unpack(">I", data[at - 4 : at])[0]
    content = data[at + 4 : at + 4 + length]
    content[-len(damage) :] = damage
    mended = bytes(data[: at - 4]) + png_chunk(b"eXIf", bytes(content)) + bytes(data[at + 8 + length :])

    np.testing.assert_array_equal(decode_image(mended, RGB), np.asarray(gradient()))


def test_threads_leave_the_processs_warnings_as_they_were() -> None:
    before = list(warnings.filters)
    data = file_of(gradient("P"), "PNG", transparency=bytes(range(200)))
    together = threading.Barrier(4)

    def decode(_: int) -> None:
        together.wait()
        for _ in range(50):
            decode_image(data, RGB)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(decode, range(4)))
    assert warnings.filters == before


SEEDS = [
    file_of(gradient(), "PNG", exif=exif(6)),
    file_of(gradient("P"), "PNG", transparency=bytes(range(200))),
    file_of(Image.fromarray(np.uint16([[0, 9], [99, 65535]])), "PNG"),
    file_of(gradient(), "JPEG"),
    file_of(gradient("L"), "JPEG"),
    file_of(gradient(), "JPEG", exif=exif(3)),
    file_of(gradient("CMYK"), "JPEG", progressive=True, comment=b"hello", dpi=(72, 72)),
    file_of(gradient(), "WEBP", exif=exif(8)),
    file_of(gradient("RGBA"), "WEBP", lossless=True),
    file_of(gradient("P"), "GIF", save_all=True, append_images=[gradient("L")]),
    file_of(gradient(), "BMP"),
    file_of(gradient("P"), "BMP"),
]


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["set", "set", "set", "insert", "delete", "cut"])):
            case "set" if data:
                data[at] = draw(st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255))
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=4))
            case "delete":
                del data[at : at + draw(st.integers(1, 8))]
            case "cut":
                del data[at:]
    return _with_right_checksums(data) if draw(st.booleans()) else bytes(data)


def _with_right_checksums(data: bytearray) -> bytes:
    """So that a mutated PNG gets past the first look."""
    at = len(PNG_SIGNATURE)
    while data.startswith(PNG_SIGNATURE) and at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(data)


@settings(max_examples=1000)
@given(mutated_files(), st.sampled_from(["rgb", "grayscale"]))
def test_a_mutated_file_is_pixels_or_invalid_input(data: bytes, colour: Literal["rgb", "grayscale"]) -> None:
    spec = ImageSpec(4, 4, colour)
    try:
        pixels = decode_image(data, spec, max_pixels=100_000)
    except InvalidInputError:
        return
    assert (pixels.shape, pixels.dtype) == (spec.shape, np.uint8)
