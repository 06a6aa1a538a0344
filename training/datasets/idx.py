"""The IDX format of the MNIST family: a four-byte magic, the sizes as big-endian uint32, then the bytes.

The magic is 0, 0, the element type (8 = uint8, the only one used for images and labels), and the number of
dimensions.
Format: http://yann.lecun.com/exdb/mnist/ ("FILE FORMATS FOR THE MNIST DATABASE").
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.datasets.base import Split
from training.errors import DatasetError

UINT8 = 8


def read_idx(path: Path, *, dimensions: int, md5: str | None = None) -> np.ndarray:
    """Reads an IDX file, gzipped where its name ends so.

    Args:
        path: of the file.
        dimensions: that the array must have.
        md5: of the file as it is, where that is known.

    Returns:
        uint8 array with `dimensions` dimensions, read-only.

    Raises:
        DatasetError: unreadable, not gzip, cut short, not IDX of that many dimensions, or of another MD5.
    """
    try:
        packed = path.read_bytes()
        content = gzip.decompress(packed) if path.suffix == ".gz" else packed
        array = parse_idx(content, dimensions=dimensions)
    except EOFError as error:
        raise DatasetError(f"{path} is cut short: the gzip stream ends too early") from error
    except (OSError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    except DatasetError as error:
        raise DatasetError(f"{path} is damaged: {error}") from error
    received = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    if md5 is not None and received != md5:
        raise DatasetError(f"{path} is not the official file: expected MD5 {md5}, received {received}")
    return array


def parse_idx(data: bytes, *, dimensions: int) -> np.ndarray:
    """Turns the bytes of an IDX file into a read-only uint8 array.

    Raises:
        DatasetError: another magic, or more or fewer bytes than the sizes in the header announce.
    """
    expected_magic = bytes((0, 0, UINT8, dimensions))
    if data[:4] != expected_magic:
        raise DatasetError(
            f"expected it to start with {expected_magic.hex(' ')} (IDX, uint8, {dimensions} dimensions), "
            f"received {data[:4].hex(' ') or 'nothing'}"
        )
    header_bytes = 4 + 4 * dimensions
    if len(data) < header_bytes:
        raise DatasetError(f"expected a header of {header_bytes} bytes, received {len(data)}")
    shape = tuple(int(size) for size in np.frombuffer(data, dtype=">u4", count=dimensions, offset=4))
    body_bytes = len(data) - header_bytes
    if body_bytes != math.prod(shape):
        sizes = " x ".join(str(size) for size in shape)
        raise DatasetError(f"the header announces {sizes} = {math.prod(shape):,} bytes, but {body_bytes:,} follow")
    return np.frombuffer(data, dtype=np.uint8, offset=header_bytes).reshape(shape)


def read_idx_split(images: Path, labels: Path, md5: Mapping[str, str] | None = None) -> Split:
    """Reads images and their classes.

    Args:
        images: the file of `[N, H, W]`.
        labels: the file of `[N]`.
        md5: what is known of the two, by their names.

    Raises:
        DatasetError: one of them is unreadable, damaged or not the known one, or they do not belong together.
    """
    known = md5 or {}
    pixels = read_idx(images, dimensions=3, md5=known.get(images.name))
    classes = read_idx(labels, dimensions=1, md5=known.get(labels.name))
    try:
        return Split(pixels, classes.astype(np.int64))
    except DatasetError as error:
        raise DatasetError(
            f"{images.name} and {labels.name} in {images.parent} do not belong together: {error}"
        ) from error
