"""Images inside the page, as data URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from training.report.html import Html, tag

MAX_SIDE = 160
"""Larger images are scaled down to this: twice what the page shows, for dense screens."""
_TINY = 64
"""Images up to this are enlarged with crisp pixels, and kept without loss."""
_JPEG_QUALITY = 82


def picture(image: np.ndarray, description: str) -> Html:
    """An `<img>` of pixels 0-255, uint8 `[H, W]` or `[H, W, 3]`."""
    tiny = max(image.shape[:2]) <= _TINY
    return tag("img", src=data_uri(image), alt=description, class_="crisp" if tiny else None)


def data_uri(image: np.ndarray) -> str:
    """A PNG of a tiny image, a JPEG of a larger one."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    buffer = io.BytesIO()
    if max(picture.size) <= _TINY:
        picture.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        picture.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def spread_over(length: int, count: int) -> np.ndarray:
    """At most `count` different positions, evenly spaced over `length` examples.

    Even spacing shows every class also of a data set that is sorted by class.
    """
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(np.int64))
