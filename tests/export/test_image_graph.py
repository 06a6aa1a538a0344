"""Image files in the graph: the same pixels, bit by bit, as the gateway and training decode."""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from export.image_graph import decode_images
from serving.images import ImageSpec, decode_image
from tests.support.image_files import PNG_SIGNATURE, file_of, png_chunk

GRAYSCALE, COLOUR = ImageSpec(28, 20, "grayscale"), ImageSpec(28, 20, "rgb")
SIZES = [(1, 1), (28, 20), (27, 20), (28, 21), (56, 40), (10, 7), (200, 150), (60, 22), (29, 200), (300, 20), (84, 60)]
"""Height and width; Pillow's order of the two passes differs among them, as it does between their weights."""


@cache
def in_graph(spec: ImageSpec) -> Callable[[list[bytes]], np.ndarray]:
    import tensorflow as tf

    function = tf.function(lambda files: decode_images(files, spec), input_signature=[tf.TensorSpec([None], tf.string)])
    return lambda files: np.asarray(function(tf.constant(files)).numpy())


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).integers(0, 256, shape, np.uint8)


def image(*shape: int) -> Image.Image:
    return Image.fromarray(noise(*shape))


def png_of_16_bits(height: int, width: int, channels: int) -> bytes:
    """Pillow writes only grayscale with 16 bits a channel."""
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.tobytes() for row in noise(height, 2 * width * channels))
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(png_chunk(kind, content) for kind, content in chunks)


def png_files(height: int, width: int) -> dict[str, bytes]:
    colours = image(height, width, 3)
    return {
        "grayscale": file_of(image(height, width), "PNG"),
        "colour": file_of(colours, "PNG"),
        "colour with alpha": file_of(image(height, width, 4), "PNG"),
        "grayscale with alpha": file_of(image(height, width, 2), "PNG"),
        "palette": file_of(colours.quantize(50), "PNG"),
        "small palette": file_of(colours.quantize(4), "PNG"),
        "palette with a transparent colour": file_of(colours.quantize(50), "PNG", transparency=3),
        "black and white": file_of(image(height, width).convert("1"), "PNG"),
        **{f"{channels} channels of 16 bits": png_of_16_bits(height, width, channels) for channels in (1, 2, 3, 4)},
    }


def jpeg_files(height: int, width: int) -> dict[str, bytes]:
    colours = image(height, width, 3)
    qualities = {f"quality {quality}": file_of(colours, "JPEG", quality=quality) for quality in (10, 75, 95)}
    return {
        "grayscale": file_of(image(height, width), "JPEG"),
        "4:4:4": file_of(colours, "JPEG", subsampling=0),
        "4:2:2": file_of(colours, "JPEG", subsampling=1),
        "4:2:0": file_of(colours, "JPEG", subsampling=2),
        "progressive": file_of(colours, "JPEG", progressive=True),
        **qualities,
    }


def assert_equal_pixels(files: dict[str, bytes], spec: ImageSpec) -> None:
    received = in_graph(spec)(list(files.values()))

    assert received.shape == (len(files), *spec.shape)
    for (title, file), pixels in zip(files.items(), received, strict=True):
        np.testing.assert_array_equal(pixels, decode_image(file, spec), err_msg=title)


@pytest.mark.parametrize("spec", [GRAYSCALE, COLOUR], ids=lambda spec: spec.colour)
@pytest.mark.parametrize("files_of", [png_files, jpeg_files])
def test_every_kind_of_png_and_jpeg_gives_the_same_pixels(
    spec: ImageSpec, files_of: Callable[[int, int], dict[str, bytes]]
) -> None:
    assert_equal_pixels(files_of(spec.height, spec.width), spec)
    assert_equal_pixels(files_of(61, 47), spec)


@pytest.mark.parametrize("spec", [GRAYSCALE, COLOUR], ids=lambda spec: spec.colour)
def test_an_image_of_any_size_is_resized_to_the_same_pixels(spec: ImageSpec) -> None:
    assert_equal_pixels(
        {f"{height} x {width}": file_of(image(height, width, 3), "PNG") for height, width in SIZES}, spec
    )


def test_images_of_many_sizes_are_resized_to_the_same_pixels() -> None:
    sizes = np.random.default_rng(3).integers(1, 90, (60, 2)).tolist()

    assert_equal_pixels({f"{size}": file_of(image(*size), "PNG") for size in sizes}, GRAYSCALE)


@pytest.mark.parametrize("colour", ["grayscale", "rgb"])
@pytest.mark.parametrize(
    "size", [(39, 200), (40, 47), (47, 40), (79, 81), (80, 97), (159, 170), (160, 161), (251, 183)], ids=str
)
def test_a_jpeg_much_larger_than_the_spec_gives_the_same_pixels(
    size: tuple[int, int], colour: Literal["grayscale", "rgb"]
) -> None:
    assert_equal_pixels(jpeg_files(*size), ImageSpec(5, 4, colour))


def test_a_large_photograph_is_resized_to_the_same_pixels() -> None:
    photograph = Image.effect_noise((1999, 1503), 90).convert("RGB")

    assert_equal_pixels({"photograph": file_of(photograph, "JPEG")}, COLOUR)


@pytest.mark.parametrize(
    ("archive", "side"),
    [
        ("cats-and-dogs/validation.tar", 150),
        ("flowers/flower_photos.tar", 160),
        ("horse-or-human/validation.tar", 300),
        ("horse-or-human/validation.tar", 96),
        ("horse-or-human/official-validation-100px-gray.tar", 28),
    ],
)
def test_real_photographs_give_the_same_pixels(data_dir: Path, archive: str, side: int) -> None:
    with tarfile.open(data_dir / archive) as tar:
        members = [member for member in tar.getmembers() if member.name.endswith((".jpg", ".png"))]
        files = {member.name: tar.extractfile(member).read() for member in members[:: len(members) // 25]}  # type: ignore[union-attr]

    assert len(files) >= 25
    assert_equal_pixels(files, ImageSpec(side, side, "rgb"))


@pytest.mark.parametrize(
    "file", [b"", b"no image", file_of(image(28, 20), "PNG")[:90], file_of(image(9, 9), "JPEG")[:50]]
)
def test_what_is_no_whole_image_is_an_invalid_argument(file: bytes) -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError):
        in_graph(GRAYSCALE)([file_of(image(28, 20), "PNG"), file])
