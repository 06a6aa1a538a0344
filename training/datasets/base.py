"""A labelled set of images in memory, split into training and test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from training.errors import DatasetError


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their classes: uint8 `[N, H, W]` or `[N, H, W, 3]` with pixels 0-255, and int64 `[N]`.

    Raises:
        DatasetError: the numbers of images and labels differ, or there are none.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DatasetError(f"{len(self.images):,} images, but {len(self.labels):,} labels")
        if len(self.images) == 0:
            raise DatasetError("there are no images")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray) -> Split:
        """The examples at these positions, in this order."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: `labels` are the names of classes 0, 1, …; `source` says where it was found.

    Raises:
        DatasetError: a split holds a class that has no name.
    """

    name: str
    labels: tuple[str, ...]
    train: Split
    test: Split
    source: str

    def __post_init__(self) -> None:
        for split_name, split in (("train", self.train), ("test", self.test)):
            lowest, highest = int(split.labels.min()), int(split.labels.max())
            if lowest < 0 or highest >= len(self.labels):
                raise DatasetError(
                    f"{self.name}'s {split_name} split has classes {lowest}..{highest}, "
                    f"expected 0..{len(self.labels) - 1}"
                )

    @cached_property
    def sha256(self) -> str:
        """A digest of pixels and classes: the same wherever the data came from and however it was packed."""
        digest = hashlib.sha256()
        for array in (self.train.images, self.train.labels, self.test.images, self.test.labels):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


class DatasetSource(Protocol):
    """Where a data set comes from; each source says what it does with `data_dir`, the user's `--data`."""

    @property
    def name(self) -> str:
        """The name that recipes and run folders use."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of classes 0, 1, …; known without loading anything."""

    def load(self, data_dir: Path | None) -> Dataset:
        """Loads both splits."""
