"""Real images to ask about: of a data set, a folder, scikit-learn's digits; where there are none, random pixels."""

from __future__ import annotations

import gzip
import importlib.util
import io
import math
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
from PIL import Image

from loadtest.errors import UsageError
from serving.signatures import TensorSpec, format_shape

MAX_IMAGES = 256
"""So many different images are asked about, over and over."""

_FOLDERS: Mapping[str, str] = MappingProxyType({"cats-vs-dogs": "cats-and-dogs", "horses-or-humans": "horse-or-human"})
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"})
_IMAGE_MAGIC, _LABEL_MAGIC = 0x803, 0x801
_BRIGHTEST_DIGIT = 16


@dataclass(frozen=True)
class Images:
    """What is asked about.

    `pixels` has the model's input dtype and shape `[N, …]`; `labels` are class indices `[N]`, or None where they are
    not known to be the model's classes; `files` are the same images encoded, as PNG or as they were found.
    """

    source: str
    pixels: np.ndarray
    labels: np.ndarray | None
    files: tuple[bytes, ...] | None


def find_images(spec: TensorSpec, *, data: str, model: str, seed: int, data_root: Path | None = None) -> Images:
    """Images for a model's input.

    Without `data`, those of a data set in `data_root` (`$ATELIER_DATA` if not given) whose name the model's begins
    with, then the digits where they fit and scikit-learn is there, then random numbers.

    Raises:
        UsageError: `data` names nothing that can be read, or images of another shape.
    """
    root = data_root or (Path(os.environ["ATELIER_DATA"]) if os.environ.get("ATELIER_DATA") else None)
    if data == "random":
        return random_images(spec, seed)
    if data == "digits":
        return _fitted("digits", *_digits(), spec)
    if data:
        return _named(data, root, spec)
    if root is not None and root.is_dir():
        names = {path.name: path for path in root.iterdir() if path.is_dir()}
        for name in sorted({*names, *_FOLDERS}, key=len, reverse=True):
            folder = names.get(_FOLDERS.get(name, name))
            if folder is not None and (model == name or model.startswith(f"{name}-")):
                return _folder(folder, spec)
    if model.startswith("digits") and spec.shape[1:] == (8, 8) and importlib.util.find_spec("sklearn"):
        return _fitted("digits", *_digits(), spec)
    return random_images(spec, seed)


def random_images(spec: TensorSpec, seed: int) -> Images:
    """Random pixels, or numbers from 0 to 1 where the model takes floats; no labels."""
    shape = (MAX_IMAGES, *(size or 1 for size in spec.shape[1:]))
    generator = np.random.default_rng(seed)
    dtype = spec.element.numpy
    if spec.element.kind == "f":
        return Images("random numbers", generator.random(shape).astype(dtype), None, None)
    pixels = generator.integers(0, 2 if dtype.kind == "b" else 128 if dtype == np.int8 else 256, shape).astype(dtype)
    files = tuple(_png(one) for one in pixels) if _is_image(spec) else None
    return Images("random pixels", pixels, None, files)


def _named(data: str, root: Path | None, spec: TensorSpec) -> Images:
    places = [Path(data), *([root / _FOLDERS.get(data, data)] if root else [])]
    for place in places:
        if place.is_dir():
            return _folder(place, spec)
    tried = " and ".join(str(place) for place in places)
    raise UsageError(f"--data: expected a data set, a folder, digits or random, received {data!r}; looked at {tried}")


def _folder(folder: Path, spec: TensorSpec) -> Images:
    try:
        idx = folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz"
        if idx[0].is_file():
            return _fitted(folder.name, _idx(idx[0], _IMAGE_MAGIC), _idx(idx[1], _LABEL_MAGIC), spec)
        found = sorted(_files(folder))
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise UsageError(f"{folder}: its images cannot be read: {error}") from error
    if not found:
        raise UsageError(f"{folder}: expected images in one folder for each class, or MNIST's files, received neither")
    if not _is_image(spec):
        raise UsageError(f"{folder}: expected a model that takes images, received shape {format_shape(spec.shape)}")
    classes = sorted({name for name, _, _ in found})
    chosen = [found[index] for index in _spread(len(found))]
    pixels = np.stack([_decoded(path, content, spec) for _, path, content in chosen])
    labels = np.array([classes.index(name) for name, _, _ in chosen]) if len(classes) > 1 else None
    return Images(folder.name, pixels, labels, tuple(content for _, _, content in chosen))


def _decoded(path: str, content: bytes, spec: TensorSpec) -> np.ndarray:
    try:
        return _pixels(content, spec)
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path}: expected an image, received what cannot be decoded") from error


def _files(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Class, path and content of the images in a folder or in its tar files, of those held out if they are apart."""
    for held_out in ("validation", "test", ""):
        archive = folder / f"{held_out}.tar" if held_out else next(iter(sorted(folder.glob("*.tar"))), None)
        if archive is not None and archive.is_file():
            with tarfile.open(archive) as tar:
                members = [one for one in tar if one.isfile() and PurePosixPath(one.name).suffix.lower() in _SUFFIXES]
                for index in _spread(len(members)):
                    file = tar.extractfile(members[index])
                    path = PurePosixPath(members[index].name)
                    yield path.parent.name, str(path), file.read() if file else b""
            return
        if (folder / held_out).is_dir():
            paths = [path for path in sorted((folder / held_out).rglob("*")) if path.suffix.lower() in _SUFFIXES]
            for index in _spread(len(paths)):
                yield paths[index].parent.name, str(paths[index]), paths[index].read_bytes()
            if paths:
                return


def _spread(count: int) -> list[int]:
    """Up to `MAX_IMAGES` indices, evenly over all, so that files sorted by class give all classes."""
    return sorted({int(index) for index in np.linspace(0, count - 1, min(count, MAX_IMAGES))}) if count else []


def _idx(path: Path, magic: int) -> np.ndarray:
    """MNIST's format (http://yann.lecun.com/exdb/mnist/): magic number and sizes as big-endian uint32, then bytes."""
    content = gzip.decompress(path.read_bytes())
    dimensions = magic & 0xFF
    header = np.frombuffer(content[: 4 * (1 + dimensions)], ">u4")
    sizes = tuple(int(size) for size in header[1:])
    if len(header) != 1 + dimensions or header[0] != magic or len(content) != 4 * len(header) + math.prod(sizes):
        raise UsageError(f"{path}: expected MNIST's format, received another")
    return np.frombuffer(content, np.uint8, offset=4 * len(header)).reshape(sizes)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise UsageError("--data digits: expected scikit-learn to be installed, received no module sklearn") from error
    bundled = load_digits()
    return np.round(bundled.images * (255 / _BRIGHTEST_DIGIT)).astype(np.uint8), bundled.target


def _fitted(source: str, pixels: np.ndarray, labels: np.ndarray, spec: TensorSpec) -> Images:
    if not spec.accepts(pixels.shape):
        raise UsageError(
            f"--data {source}: expected images of shape {format_shape(spec.shape)}, as the model takes them, "
            f"received {format_shape((None, *pixels.shape[1:]))}"
        )
    chosen = pixels[:MAX_IMAGES]
    return Images(
        source,
        chosen.astype(spec.element.numpy),
        labels[:MAX_IMAGES].astype(np.int64),
        tuple(_png(one) for one in chosen),
    )


def _is_image(spec: TensorSpec) -> bool:
    """Whether the input is uint8 `[N, height, width]` or `[N, height, width, 3]`."""
    sizes = spec.shape[1:]
    return spec.dtype == "uint8" and None not in sizes and (len(sizes) == 2 or (len(sizes) == 3 and sizes[2] == 3))


def _pixels(content: bytes, spec: TensorSpec) -> np.ndarray:
    height, width = spec.shape[1] or 1, spec.shape[2] or 1
    with Image.open(io.BytesIO(content)) as image:
        converted = image.convert("L" if len(spec.shape) == 3 else "RGB")
        return np.asarray(converted.resize((width, height), Image.Resampling.BILINEAR), np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
