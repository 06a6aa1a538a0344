"""Data sets packed like MNIST: KMNIST, the EMNIST sets, and the user's own, in IDX files, unpacked or not.

`train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same two with `t10k` (or `test`), all with or without
`.gz`, and with or without something that they all start with, such as `emnist-letters-`. Images are taken as they are:
EMNIST's own have rows and columns exchanged.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from serving.images import ImageSpec
from training.datasets.base import Dataset, Split, require_native_size, some_of
from training.datasets.idx import read_idx_split
from training.errors import DatasetError

_NAME = re.compile(r"(?P<set>.*?)(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?", re.ASCII)
_EXPECTED = ("train images", "train labels", "test images", "test labels")


class IdxFiles(NamedTuple):
    """The four files of a data set."""

    train_images: Path
    train_labels: Path
    test_images: Path
    test_labels: Path


def find_idx(folder: Path) -> IdxFiles | None:
    """The IDX files in a folder, not in those below it; None where there is none.

    Raises:
        DatasetError: the folder cannot be read, some of the files are missing, or they are of several data sets.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error}") from error
    matches = [match for name in names if (match := _NAME.fullmatch(name))]
    if not matches:
        return None
    sets = sorted({match["set"] for match in matches})
    if len(sets) > 1:
        received = some_of(list(map(repr, sets)))
        raise DatasetError(f"{folder} has IDX files of several data sets: expected one, received {received}")
    found: dict[str, Path] = {}
    for match in matches:
        # Of a file that is there packed and unpacked, the one that sorts first: unpacked.
        found.setdefault(f"{'train' if match['split'] == 'train' else 'test'} {match['kind']}", folder / match.string)
    missing = [part for part in _EXPECTED if part not in found]
    if missing:
        raise DatasetError(
            f"the IDX files in {folder} are incomplete: expected {', '.join(_EXPECTED)}, received no "
            f"{', '.join(missing)}"
        )
    return IdxFiles(*(found[part] for part in _EXPECTED))


def read_idx_folder(name: str, files: IdxFiles, image: ImageSpec | None) -> Dataset:
    """Reads all four files into memory; the classes are called by their numbers.

    Their numbers may start with another than 0, as those of EMNIST's letters do with 1: that class is then the first.

    Args:
        name: what the data set will be called.
        files: to be read.
        image: what the recipe expects; images are not resized.

    Raises:
        DatasetError: a file is damaged, two do not belong together, or the images have another size.
    """
    train = read_idx_split(files.train_images, files.train_labels)
    test = read_idx_split(files.test_images, files.test_labels)
    for path, split in ((files.train_images, train), (files.test_images, test)):
        require_native_size(str(path), split.inputs.shape[1:], image)
    first, last = int(train.targets.min()), int(train.targets.max())
    labels = tuple(map(str, range(first, last + 1)))
    source = str(files.train_images.parent)
    return Dataset(name, labels, _from(first, train), _from(first, test), source)


def _from(first: int, split: Split) -> Split:
    return Split(split.inputs, split.targets - first)
