"""npz files with the arrays that Keras' own data sets have: `x_train`, `y_train`, `x_test`, `y_test`.

`x_val`, `y_val` and `labels` (the classes' names) may be there too, and with `x_val` there need be no `x_test`.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from serving.images import ImageSpec
from training.datasets.base import Dataset, Split, require_native_size
from training.errors import DatasetError

_DAMAGED = (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error, MemoryError)
BRIGHTEST = 255
ARRAYS = ("x_train", "y_train", "x_test", "y_test", "x_val", "y_val", "labels")


def read_npz(name: str, path: Path, image: ImageSpec | None) -> Dataset:
    """Reads the whole file into memory.

    Images are integers 0-255, `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`, classes integers, `[N]` or `[N, 1]`;
    without `labels` the classes are called `0`, `1`, ….

    Args:
        name: what the data set will be called.
        path: of the file.
        image: what the recipe expects; images are not resized.

    Raises:
        DatasetError: it is no npz file, damaged, an array is missing or not as above, or the images have another size.
    """
    given = _read_arrays(path)
    train = _split(path, given, "train")
    if train is None:
        hint = "" if path.suffix == ".npz" else "; images in a zip file have to be unpacked, or packed as a tar file"
        raise DatasetError(f"{path} has no x_train and y_train: expected an npz file with {', '.join(ARRAYS)}{hint}")
    test, validation = _split(path, given, "test"), _split(path, given, "val")
    for split in (train, validation, test):
        if split is not None:
            require_native_size(str(path), split.inputs.shape[1:], image)
    return Dataset(name, _labels(path, given, train), train, test, source=str(path), validation=validation)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise DatasetError(f"{path} is no npz file, or cut short")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[name]) for name in ARRAYS if name in arrays.files}
    except _DAMAGED as error:
        raise DatasetError(f"{path} is damaged, or more than memory holds: {error}") from error


def _split(path: Path, given: dict[str, np.ndarray], suffix: str) -> Split | None:
    names = f"x_{suffix}", f"y_{suffix}"
    missing = [name for name in names if name not in given]
    if len(missing) == len(names):
        return None
    if missing:
        raise DatasetError(f"{path} has {' and '.join(set(names) - set(missing))}, but no {missing[0]}")
    try:
        return Split(_pixels(given[names[0]]), _classes(given[names[1]]))
    except DatasetError as error:
        raise DatasetError(f"{names[0]} and {names[1]} in {path}: {error}") from error


def _pixels(images: np.ndarray) -> np.ndarray:
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3 and not (images.ndim == 4 and images.shape[-1] == 3):
        raise DatasetError(f"expected images of shape [N, H, W] or [N, H, W, 3], received {list(images.shape)}")
    if images.dtype.kind not in "iu":
        raise DatasetError(f"expected images of whole numbers 0-{BRIGHTEST}, received {images.dtype}")
    if images.size and (images.min() < 0 or images.max() > BRIGHTEST):
        raise DatasetError(f"expected pixels of 0-{BRIGHTEST}, received {images.min()} to {images.max()}")
    return images.astype(np.uint8, copy=False)


def _classes(targets: np.ndarray) -> np.ndarray:
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1 or targets.dtype.kind not in "iu":
        raise DatasetError(f"expected classes as integers [N], received {targets.dtype} {list(targets.shape)}")
    return targets.astype(np.int64)


def _labels(path: Path, given: dict[str, np.ndarray], train: Split) -> tuple[str, ...]:
    if "labels" not in given:
        highest = int(train.targets.max())
        if highest >= len(train):  # before so many names are made
            raise DatasetError(
                f"y_train in {path}: expected the classes 0, 1, … without gaps, "
                f"received {highest:,} among {len(train):,} examples"
            )
        return tuple(map(str, range(highest + 1)))
    names = given["labels"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DatasetError(f"labels in {path}: expected text [n], received {names.dtype} {list(names.shape)}")
    return tuple(names.tolist())
