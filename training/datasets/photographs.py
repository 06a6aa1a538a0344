"""The course's three sets of photographs, from tar files or unpacked folders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from training.datasets.base import Dataset, LoadOptions
from training.datasets.folder import carve, files_at, load_images
from training.datasets.layout import LabelledFiles, SplitFolder, read_classes, read_splits, require_same_classes
from training.datasets.places import look_up, tried
from training.errors import DatasetError, DatasetUnavailableError

VALIDATION_FRACTION = 0.2


class Checksum(NamedTuple):
    """Of a file that is known."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Images that come as `train` and `validation`, or, without splits, have a fixed fifth of each class held out.

    It is looked for in `data_dir`, or else in `$ATELIER_DATA`: in the sub-folder `folder`, and then in the place
    itself, as what is first there of

    * `train` and `validation`, each as a tar file (`train.tar`) or as a folder;
    * one of `collections`, a folder or a tar file that holds it all.

    Other copies of a data set may be packed differently or hold more images, so what counts is that all of it can be
    read and has the expected classes. But a file that has both the name and the size of a known one must also have its
    SHA-256: it is taken for damaged otherwise.
    """

    name: str
    labels: tuple[str, ...]
    folder: str
    collections: tuple[str, ...]
    known: Mapping[str, Checksum]

    def load(self, options: LoadOptions) -> Dataset:
        """Loads `train` and `validation`, uint8 `[N, *options.image.shape]`; there is no test split.

        Raises:
            UsageError: `data_dir` is no folder or has it not, `$ATELIER_DATA` names no folder, or the recipe is not for
                images.
            DatasetUnavailableError: found nowhere; the message names the places.
            DatasetError: found, but damaged, incomplete, or with other classes.
        """
        found = look_up(self.name, options.data_dir, self._look_into, self._expected_in)
        if found is None:
            raise DatasetUnavailableError(
                f"{self.name} was found nowhere; tried: {tried()}; expected {self._packings} in a folder {self.folder}"
            )
        for path in found:
            self._check(path)
        splits = self._splits(found, options)
        received = splits["train"].labels
        if received != self.labels:
            raise DatasetError(
                f"{self.name} in {found[0]}: expected the classes {', '.join(self.labels)}, "
                f"received {', '.join(received)}"
            )
        return load_images(self.name, splits, source=", ".join(map(str, found)), options=options)

    def _look_into(self, place: Path) -> tuple[Path, ...] | None:
        """The paths of train and validation, or the one path of a collection."""
        for folder in (place / self.folder, place):
            parts = tuple(_first_of(folder / f"{split}.tar", folder / split) for split in ("train", "validation"))
            train, validation = parts
            if train and validation:
                return train, validation
            if train or validation:
                raise DatasetError(
                    f"{self.name} in {folder} is incomplete: {'validation' if train else 'train'} is missing"
                )
            collection = _first_of(*(folder / name for name in self.collections))
            if collection:
                return (collection,)
        return None

    def _expected_in(self, place: Path) -> str:
        return f"{self._packings} in {place / self.folder} or {place}"

    @property
    def _packings(self) -> str:
        return f"train.tar and validation.tar, folders train and validation, or {' or '.join(self.collections)}"

    def _check(self, path: Path) -> None:
        known = self.known.get(path.name)
        if known is None or not path.is_file() or path.stat().st_size != known.size_bytes:
            return
        with path.open("rb") as file:
            received = hashlib.file_digest(file, "sha256").hexdigest()
        if received != known.sha256:
            raise DatasetError(f"{path} is damaged: expected SHA-256 {known.sha256}, received {received}")

    def _splits(self, found: tuple[Path, ...], options: LoadOptions) -> dict[SplitFolder, LabelledFiles]:
        if len(found) == 1:
            splits = read_splits(files_at(found[0]), options.warn)
            if len(splits) == 1:
                return carve("validation", VALIDATION_FRACTION, splits["train"])
            return splits
        train, validation = (read_classes(files_at(path), options.warn) for path in found)
        splits = {"train": train, "validation": validation}
        require_same_classes(self.name, splits)
        return splits


def _first_of(*paths: Path) -> Path | None:
    return next((path for path in paths if path.exists()), None)


CATS_VS_DOGS = Photographs(
    name="cats-vs-dogs",
    labels=("cats", "dogs"),
    folder="cats-and-dogs",
    collections=("cats_and_dogs_filtered", "cats_and_dogs"),
    known=MappingProxyType(
        {
            "train.tar": Checksum(18_452_480, "79fe8f3cccacb930951c6339b3d67d05faf4c9aa086dc93ef5ccfc9ef706e9c9"),
            "validation.tar": Checksum(9_236_480, "bea9dbc0e2eef984a4b7ffdd22dcb3fedadc0b91d00c5653c5453f8b9163f7ce"),
        }
    ),
)

HORSES_OR_HUMANS = Photographs(
    name="horses-or-humans",
    labels=("horses", "humans"),
    folder="horse-or-human",
    collections=("horse-or-human", "horse_or_human"),
    known=MappingProxyType(
        {
            "train.tar": Checksum(11_755_520, "aeed9030a3d1dcb7648889de0a13fef6566295921f56a126818524d10f8bc06f"),
            "validation.tar": Checksum(2_641_920, "40738e386ac2446c928e26d51fc0012463a65d82961faf7d2e5eb28625cba782"),
        }
    ),
)

FLOWERS = Photographs(
    name="flowers",
    labels=("daisy", "dandelion", "roses", "sunflowers", "tulips"),
    folder="flowers",
    collections=("flower_photos.tar", "flower_photos.tgz", "flower_photos"),
    known=MappingProxyType(
        {"flower_photos.tar": Checksum(15_677_440, "56d1b7b96176ff64aba9ff613650b228e803af0e90846fbcdd9c69f7b8b166ea")}
    ),
)
