"""The one function that turns an image file into pixels, for training's folders and for serving alike.

Because both sides call `decode_image` with the settings recorded in the bundle, what a model sees in production is
what it saw in training.
"""

from __future__ import annotations

import io
import math
import struct
import threading
import time
import warnings
import zlib
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from serving.errors import InvalidInputError
from serving.plain_jpeg import read_plain_jpeg
from serving.plain_png import open_plain_png

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
DEFAULT_MAX_PIXELS = 50_000_000
_MAX_SIDE = 16_384
_BRIGHTEST_16_BIT = 65_535
MIN_SHRINKING = 4
"""How many pixels in a row the resize has to make one of, at least, where a JPEG is decoded smaller than it is.

The triangle that it weights them by is then no more than 3 % wider for the means that the decoder has taken before.
"""
_JPEG_BLOCK_BYTES = 16 * 1024
"""How much of a JPEG, and so how many scans, the decoder may have before it looks at the clock."""

_PILLOW_MODES = MappingProxyType({"grayscale": "L", "rgb": "RGB"})
_TURN_OF_ORIENTATION = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
"""What turns an image upright, by its EXIF orientation."""
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error, zlib.error)
"""What Pillow's decoders raise on damaged files; their texts name no path, since the source is a buffer."""


@dataclass(frozen=True)
class ImageSpec:
    """How an image becomes the model's input: size in pixels, colour, and the resize filter.

    `bilinear` is Pillow's antialiased filter, which TensorFlow matches with `resize(antialias=True)`.

    Raises:
        ValueError: a side is not from 1 to 16,384 pixels.
    """

    height: int
    width: int
    colour: Literal["grayscale", "rgb"]
    resize: Literal["bilinear"] = "bilinear"

    def __post_init__(self) -> None:
        if not (1 <= self.height <= _MAX_SIDE and 1 <= self.width <= _MAX_SIDE):
            raise ValueError(f"expected a size of 1 to {_MAX_SIDE} pixels, received {self.height} x {self.width}")

    @property
    def shape(self) -> tuple[int, ...]:
        """`(height, width)` for grayscale, `(height, width, 3)` for RGB."""
        return (self.height, self.width) if self.colour == "grayscale" else (self.height, self.width, 3)


class ImageFile(NamedTuple):
    """One file of a request; `name` is what an error calls it, empty where there is only one."""

    data: bytes
    name: str = ""


def decode_image(
    data: bytes,
    spec: ImageSpec,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_cpu_s: float = math.inf,
    formats: tuple[str, ...] = FORMATS,
) -> np.ndarray:
    """Decodes PNG, JPEG, WebP, BMP or a GIF's first frame, turns it upright (EXIF), and resizes it without cropping.

    Who trusts where the images come from may have `formats` of Pillow's beyond these five; the gateway does not.

    A JPEG with sides at least eight times the spec's longer one is decoded at a half, a quarter or an eighth, so that
    the resize still shrinks it by `MIN_SHRINKING`: in half the time and a fraction of the memory. On photographs the
    levels differ by 0.5 from those of the whole, on average, and at sharp edges by up to 24.

    An alpha channel is dropped, 16-bit channels are scaled to 8. The size is checked in the header, before any pixel
    is decoded. `max_cpu_s` bounds what the size does not, such as a small JPEG of ten thousand scans: it is seconds of
    this thread's processor time, looked at whenever Pillow's decoder asks for more of the file. Small plain files take
    some milliseconds, and no look.

    Returns:
        uint8 pixels 0-255 of shape `spec.shape`.

    Raises:
        InvalidInputError: not an image of these formats, damaged, more than `max_pixels` pixels, more than `max_cpu_s`
            of work, or with other than 8 or 16 bits for a channel.
    """
    mode = _PILLOW_MODES[spec.colour]
    full_side = MIN_SHRINKING * max(spec.height, spec.width)
    plain = _open_plain(data, full_side, max_pixels, formats)
    if plain is None:
        pixels = _open(data, mode, full_side, max_pixels, max_cpu_s, formats)
    else:
        pixels = plain if plain.mode == mode else plain.convert(mode)
    if pixels.size != (spec.width, spec.height):
        pixels = pixels.resize((spec.width, spec.height), Image.Resampling.BILINEAR)
    return np.frombuffer(pixels.tobytes(), np.uint8).reshape(spec.shape)


def load_decoders() -> None:
    """Has Pillow import the decoders of `FORMATS` now, and not all forty while the first image waits."""
    for name in ("Png", "Jpeg", "WebP", "Gif", "Bmp"):
        import_module(f"PIL.{name}ImagePlugin")


def _open_plain(data: bytes, full_side: int, max_pixels: int, formats: tuple[str, ...]) -> Image.Image | None:
    """The pixels of a file so plain and small that Pillow's reader is not needed, gray or RGB; None for all others."""
    if "JPEG" in formats and (jpeg := read_plain_jpeg(data)) is not None:
        _check_size(jpeg.width, jpeg.height, max_pixels)
        return jpeg.decode(data, full_side)
    png = open_plain_png(data) if "PNG" in formats else None
    if png is not None:
        _check_size(png.width, png.height, max_pixels)
    return png


def _open(
    data: bytes, mode: str, full_side: int, max_pixels: int, max_cpu_s: float, formats: tuple[str, ...]
) -> Image.Image:
    """The pixels of any file, upright and in Pillow's `mode`, no side shorter than `full_side` for being a JPEG's.

    See `decode_image`.
    """
    try:
        with _without_pillow_warnings, Image.open(_TimedFile(data, max_cpu_s), formats=formats) as image:
            _check_size(image.width, image.height, max_pixels)
            if isinstance(image, JpegImageFile):
                image.draft(None, (full_side, full_side))
                image.decodermaxblock = _JPEG_BLOCK_BYTES
            image.load()
            return _to_eight_bit(_upright(image)).convert(mode)
    except Image.DecompressionBombError as error:
        # Pillow's own limit, which it holds headers against before this function sees their numbers.
        limit = 2 * (Image.MAX_IMAGE_PIXELS or max_pixels)
        raise InvalidInputError(
            f"the image is too large: expected at most {min(limit, max_pixels):,} pixels, received more than {limit:,}"
        ) from error
    except UnidentifiedImageError as error:
        start = data[:8].hex(" ") or "nothing"
        raise InvalidInputError(
            f"not an image: expected {', '.join(formats)}, received {len(data):,} bytes that start with {start}"
        ) from error
    except _DAMAGED as error:
        raise InvalidInputError(f"the image is damaged and cannot be decoded: {error}") from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise InvalidInputError(
            f"the image is too large: expected at most {max_pixels:,} pixels, "
            f"received {width} x {height} = {width * height:,}"
        )


def _upright(image: Image.Image) -> Image.Image:
    """What Pillow's `exif_transpose` shows; that one also writes all EXIF data anew, and fails on damaged ones."""
    method = _TURN_OF_ORIENTATION.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if method is None else image.transpose(method)


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """Pillow clips 16-bit values at 255 when it converts; divide by 257 instead, so that white stays white."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > _BRIGHTEST_16_BIT:
        kind = "fractions" if image.mode == "F" else f"values {values.min()} to {values.max()}"
        raise InvalidInputError(f"the image has no usual pixels: expected 8 or 16 bits a channel, received {kind}")
    return Image.fromarray((values.astype(np.uint32) // 257).astype(np.uint8))


class _TimedFile(io.BytesIO):
    """A file that stops being read once this thread has spent `max_cpu_s` on it: no thread can be ended from outside.

    Its work between two reads is bounded by the pixels, but for JPEG, where it grows with the scans in one block.
    """

    def __init__(self, data: bytes, max_cpu_s: float) -> None:
        super().__init__(data)
        self._max_cpu_s = max_cpu_s
        self._end_s = time.thread_time() + max_cpu_s

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end_s:
            # None of the exceptions that decoders take for damage, or go on after.
            raise InvalidInputError(
                f"the image takes too long to decode: expected at most {self._max_cpu_s:g} s of processor time"
            )
        return super().read(size)


class _WithoutPillowWarnings:
    """Keeps Pillow's warnings away as long as any thread is inside: damaged files would fill the log with them.

    `warnings.catch_warnings` by itself is not made for threads: two of them would restore each other's filters.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_without_pillow_warnings = _WithoutPillowWarnings()
