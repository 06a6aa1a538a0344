"""The one function that turns an image file into pixels, for training's folders and for serving alike.

Because both sides call `decode_image` with the settings recorded in the bundle, what a model sees in production is
what it saw in training.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from serving.errors import InvalidInputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
DEFAULT_MAX_PIXELS = 50_000_000

_PILLOW_MODES = {"grayscale": "L", "rgb": "RGB"}


@dataclass(frozen=True)
class ImageSpec:
    """How an image becomes the model's input: size in pixels, colour, and the resize filter.

    `bilinear` is Pillow's antialiased filter, which TensorFlow matches with `resize(antialias=True)`.
    """

    height: int
    width: int
    colour: Literal["grayscale", "rgb"]
    resize: Literal["bilinear"] = "bilinear"

    @property
    def shape(self) -> tuple[int, ...]:
        """`(height, width)` for grayscale, `(height, width, 3)` for RGB."""
        return (self.height, self.width) if self.colour == "grayscale" else (self.height, self.width, 3)


def decode_image(data: bytes, spec: ImageSpec, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Decodes PNG, JPEG, WebP, BMP or a GIF's first frame, turns it upright (EXIF), and resizes it without cropping.

    An alpha channel is dropped, 16-bit channels are scaled to 8. The size is checked in the header, before any pixel
    is decoded.

    Returns:
        uint8 pixels 0-255 of shape `spec.shape`.

    Raises:
        InvalidInputError: not an image of these formats, damaged, or more than `max_pixels` pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.width, image.height, max_pixels)
            image.load()
            upright = ImageOps.exif_transpose(image)
            pixels = _to_eight_bit(upright).convert(_PILLOW_MODES[spec.colour])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidInputError(f"the image is too large: expected at most {max_pixels:,} pixels") from error
    except UnidentifiedImageError as error:
        start = data[:8].hex(" ") or "nothing"
        raise InvalidInputError(
            f"not an image: expected {', '.join(FORMATS)}, received {len(data):,} bytes that start with {start}"
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        # What Pillow's decoders raise on damaged files; their texts name no path, since the source is a buffer.
        raise InvalidInputError(f"the image is damaged and cannot be decoded: {error}") from error
    if pixels.size != (spec.width, spec.height):
        pixels = pixels.resize((spec.width, spec.height), Image.Resampling.BILINEAR)
    return np.asarray(pixels)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise InvalidInputError(
            f"the image is too large: expected at most {max_pixels:,} pixels, "
            f"received {width} x {height} = {width * height:,}"
        )


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """Pillow clips 16-bit values at 255 when it converts; divide by 257 instead, so that white stays white."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.uint32) // 257).astype(np.uint8))
