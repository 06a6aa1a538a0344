"""Image data sets of TensorFlow Datasets, where that is installed: `tfds:tf_flowers`, `tfds:cats_vs_dogs`, ….

It is no dependency of Atelier. Its own cache and download are used as they are; `$TFDS_DATA_DIR` says where they lie.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.datasets.image_files import Listing, Parts
from training.datasets.layout import ORDER, SPLIT_OF_FOLDER, LabelledFiles, SplitFolder
from training.environment import quiet_tensorflow
from training.errors import DatasetError, DatasetUnavailableError, UsageError

PREFIX = "tfds:"


@dataclass(frozen=True, eq=False)
class TfdsImages:
    """The encoded images of one split by their position, in the order that TensorFlow Datasets always gives them."""

    builder: Any
    split: str

    @property
    def name(self) -> str:
        """As `tfds:tf_flowers/3.0.1 train`."""
        return f"{PREFIX}{self.builder.info.full_name} {self.split}"

    def listing(self) -> Listing:
        """One path for each image, without a folder."""
        return Listing(tuple(_path(position) for position in range(self._count)), frozenset())

    def contents(self, wanted: Sequence[Parts]) -> Iterator[tuple[Parts, Callable[[], bytes]]]:
        """Goes through the split once."""
        left = set(wanted)
        for position, (image, _) in enumerate(self.examples()):
            if _path(position) in left:
                yield _path(position), _giver(image)

    def examples(self) -> Iterator[tuple[bytes, int]]:
        """Every encoded image with its class."""
        tfds = _import_tfds()
        image_key, _ = self.builder.info.supervised_keys
        dataset = self.builder.as_dataset(
            split=self.split, as_supervised=True, decoders={image_key: tfds.decode.SkipDecoding()}
        )
        return ((bytes(image), int(label)) for image, label in tfds.as_numpy(dataset))

    @property
    def _count(self) -> int:
        return int(self.builder.info.splits[self.split].num_examples)


def read_tfds(name: str, warn: Callable[[str], None]) -> dict[SplitFolder, LabelledFiles]:
    """Finds the splits of a data set of TensorFlow Datasets, which downloads it first if it has to.

    Args:
        name: as TensorFlow Datasets has it, without the prefix; may go on with a configuration and a version.
        warn: told which splits were left out for their names.

    Raises:
        UsageError: TensorFlow Datasets is not installed, or does not know the name.
        DatasetUnavailableError: it has not got the data, and cannot download or read it.
        DatasetError: it is not made of images with one class each, or has no `train`.
    """
    builder = _prepared(name)
    info = builder.info
    keys: tuple[Any, ...] = info.supervised_keys or ()
    kinds = [type(info.features[key]).__name__ for key in keys if isinstance(key, str)]
    if kinds != ["Image", "ClassLabel"]:
        received = ", ".join(f"{key}: {type(feature).__name__}" for key, feature in info.features.items())
        raise DatasetError(f"{PREFIX}{name}: expected images with one class each, received {received}")
    known: dict[SplitFolder, str] = {}
    for split in sorted(info.splits, key=lambda split: (split not in ORDER, split)):
        if split in SPLIT_OF_FOLDER:
            known.setdefault(SPLIT_OF_FOLDER[split], split)
    if "train" not in known:
        raise DatasetError(f"{PREFIX}{name} has no split train; it has {', '.join(info.splits)}")
    if beside := [split for split in info.splits if split not in known.values()]:
        warn(f"{PREFIX}{name}: left out the splits {', '.join(beside)}")
    labels = tuple(info.features[keys[1]].names)
    return {name: _labelled(TfdsImages(builder, split), labels) for name, split in known.items()}


def _labelled(images: TfdsImages, labels: tuple[str, ...]) -> LabelledFiles:
    targets = np.array([label for _, label in images.examples()], dtype=np.int64)
    return LabelledFiles(images, labels, images.listing().images, targets, class_folder=0)


def _prepared(name: str) -> Any:
    tfds = _import_tfds()
    try:
        builder = tfds.builder(name)
    except ValueError as error:
        raise UsageError(f"TensorFlow Datasets has no {name!r}: {_first_line(error)}") from error
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except Exception as error:  # whatever its downloads and readers raise
        raise DatasetUnavailableError(f"{PREFIX}{name} cannot be had: {_first_line(error)}") from error
    return builder


def _import_tfds() -> Any:
    quiet_tensorflow()
    try:
        return importlib.import_module("tensorflow_datasets")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{PREFIX}… needs TensorFlow Datasets: expected the package tensorflow-datasets, but {error}"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _path(position: int) -> Parts:
    return (f"{position:08}",)


def _giver(data: bytes) -> Callable[[], bytes]:
    return lambda: data
