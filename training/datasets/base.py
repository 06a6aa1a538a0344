"""Labelled examples in training, validation and test splits, and where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from serving.images import ImageSpec
from training.errors import DatasetError, UsageError
from training.run import SplitName

DEFAULT_MAX_MEMORY_BYTES = 2 * 2**30
NAMES_IN_MESSAGES = 3


@dataclass(frozen=True, eq=False)
class Split:
    """Examples: images with their classes, or numbers with the numbers that belong to them.

    Images are uint8 `[N, H, W]` or `[N, H, W, 3]` with pixels 0-255, classes int64 `[N]`; for a regression both are
    float32 `[N, 1]`. The inputs may be a `numpy.memmap`, when they are more than memory should hold.

    Raises:
        DatasetError: the numbers of inputs and targets differ, or there are none.
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise DatasetError(f"{len(self.inputs):,} images, but {len(self.targets):,} labels")
        if len(self.inputs) == 0:
            raise DatasetError("there are no images")

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: np.ndarray) -> Split:
        """The examples at these positions, in this order, in memory."""
        return Split(self.inputs[indices], self.targets[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: `labels` are the names of classes 0, 1, …, none for a regression; `source` says where it was found.

    `validation` is None where the data set has none of its own: the trainer then holds out a part of `train`. One of
    `validation` and `test` is always there.

    Raises:
        DatasetError: a split holds a class that has no name, there are fewer than two classes, or no split to judge by.
    """

    name: str
    labels: tuple[str, ...]
    train: Split
    test: Split | None
    source: str
    validation: Split | None = None

    def __post_init__(self) -> None:
        if self.test is None and self.validation is None:
            raise DatasetError(f"{self.name} has neither a test nor a validation split (from {self.source})")
        if self.train.targets.dtype.kind != "i":
            return
        if len(self.labels) < 2:
            raise DatasetError(f"{self.name} has {len(self.labels)} classes, expected at least 2 (from {self.source})")
        for split_name, split in self.splits():
            lowest, highest = int(split.targets.min()), int(split.targets.max())
            if lowest < 0 or highest >= len(self.labels):
                raise DatasetError(
                    f"{self.name}'s {split_name} split has classes {lowest}..{highest}, "
                    f"expected 0..{len(self.labels) - 1} (from {self.source})"
                )

    def splits(self) -> Iterator[tuple[str, Split]]:
        """The splits that there are, by name."""
        named = (("training", self.train), ("validation", self.validation), ("test", self.test))
        return ((name, split) for name, split in named if split is not None)

    @property
    def evaluation(self) -> tuple[SplitName, Split]:
        """What a finished model is judged by: the test split, or the validation split where there is no test split."""
        if self.test is not None:
            return "test", self.test
        if self.validation is not None:
            return "validation", self.validation
        raise AssertionError

    @cached_property
    def sha256(self) -> str:
        """A digest of inputs and targets: the same wherever the data came from and however it was packed."""
        digest = hashlib.sha256()
        for _, split in self.splits():
            for array in (split.inputs, split.targets):
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a data set is to be loaded.

    Args:
        data_dir: the user's `--data`: a folder (or, for image folders, a tar file or an npz file) to look into first.
        image: what images become; None for numbers. Sources whose images have one size only refuse another.
        strict: an image that cannot be decoded is an error; else it is left out, counted and told to `warn`.
        max_memory_bytes: decoded images beyond this go to an unnamed file on disk, from where batches are read.
        warn: told, in a sentence, what was left out.
    """

    data_dir: Path | None = None
    image: ImageSpec | None = None
    strict: bool = False
    max_memory_bytes: int = DEFAULT_MAX_MEMORY_BYTES
    warn: Callable[[str], None] = field(default=lambda _: None)


def refuse_data_dir(name: str, origin: str, data_dir: Path | None) -> None:
    """Refuses a folder for a data set that has none.

    Args:
        name: of the data set.
        origin: where it comes from, for the message.
        data_dir: what was given as `--data`.

    Raises:
        UsageError: something was.
    """
    if data_dir is not None:
        raise UsageError(f"{name} comes with {origin}: expected no --data, received {data_dir}")


def require_examples(dataset: Dataset) -> None:
    """Refuses classes that could not be learnt.

    Raises:
        DatasetError: a class has no training example; the message names the first few.
    """
    if not dataset.labels:
        return
    counts = np.bincount(dataset.train.targets, minlength=len(dataset.labels))
    missing = [label for label, count in zip(dataset.labels, counts, strict=True) if count == 0]
    if missing:
        raise DatasetError(
            f"{dataset.name} has no training example of {some_of(missing)}: expected some of each of its "
            f"{len(dataset.labels):,} classes (from {dataset.source})"
        )


def some_of(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - NAMES_IN_MESSAGES
    return ", ".join(names[:NAMES_IN_MESSAGES]) + (f" and {more:,} more" if more > 0 else "")


def require_native_size(name: str, shape: tuple[int, ...], image: ImageSpec | None) -> None:
    """Refuses what the recipe wants images to become, where these have one size and are not resized.

    Args:
        name: of the data set, for the message.
        shape: of one image, `(height, width)` or `(height, width, 3)`.
        image: what was asked for; None asks for nothing.

    Raises:
        DatasetError: the two differ in size or colour.
    """
    if image is not None and image.shape != shape:
        raise DatasetError(
            f"{name} has images of {_size(shape)}, but the recipe expects {_size(image.shape)}{_as_settings(shape)}"
        )


def _as_settings(shape: tuple[int, ...]) -> str:
    """What to set for images of this shape, where a recipe can have it."""
    if shape[0] != shape[1]:
        return ""
    return f"; --set image_size={shape[0]} --set colour={_colour(shape)} takes them as they are"


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} pixels in {_colour(shape)}"


def _colour(shape: tuple[int, ...]) -> str:
    return "grayscale" if len(shape) == 2 else "rgb"


class DatasetSource(Protocol):
    """Where a data set comes from; each source says what it does with `data_dir`."""

    @property
    def name(self) -> str:
        """The name that recipes and run folders use."""

    def load(self, options: LoadOptions) -> Dataset:
        """Loads all splits."""
