"""MNIST and Fashion-MNIST: the official IDX files from a folder, or else what Keras caches or downloads."""

from __future__ import annotations

import contextlib
import importlib
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from training.datasets.base import Dataset, LoadOptions, Split, require_native_size
from training.datasets.idx import read_idx_split
from training.datasets.places import DATA_VARIABLE, look_up, tried, variables_folder
from training.environment import quiet_tensorflow
from training.errors import DatasetError, DatasetUnavailableError

DOWNLOAD_TIMEOUT_S = 30.0

SplitName = Literal["train", "test"]

_PREFIXES: Mapping[SplitName, str] = MappingProxyType({"train": "train", "test": "t10k"})


@dataclass(frozen=True)
class IdxSource:
    """A data set of the MNIST family.

    It is looked for in `data_dir`, or else in `$ATELIER_DATA`, as `<folder>/<name>/*.gz` or `<folder>/*.gz`.
    Where `data_dir` is not given and the variable's folder has none, `keras.datasets.<keras_module>` is asked, which
    looks into its own cache before it downloads.
    A file found in a folder must have the MD5 given here; a damaged file is an error, no reason to look on.
    """

    name: str
    labels: tuple[str, ...]
    md5: Mapping[str, str]
    keras_module: str

    def load(self, options: LoadOptions) -> Dataset:
        """Loads both splits: images uint8 `[N, 28, 28]`.

        Raises:
            UsageError: `data_dir` is no folder or has it not, or `$ATELIER_DATA` names no folder.
            DatasetUnavailableError: found nowhere; the message names the places.
            DatasetError: found, but damaged, or of another size than was asked for.
        """
        folder = look_up(self.name, options.data_dir, self._look_into, self._expected_in)
        if folder is None:
            splits, source = self._fetch_with_keras(), f"keras.datasets.{self.keras_module}{_passed_over()}"
        else:
            splits, source = {name: self._read_split(folder, name) for name in _PREFIXES}, str(folder)
        require_native_size(self.name, splits["train"].inputs.shape[1:], options.image)
        return Dataset(self.name, self.labels, splits["train"], splits["test"], source)

    def _expected_in(self, place: Path) -> str:
        return f"{', '.join(self.md5)} in {place / self.name} or {place}"

    def _look_into(self, place: Path) -> Path | None:
        """The folder that holds any of the files; the others must then be there too."""
        for folder in (place / self.name, place):
            missing = [name for name in self.md5 if not (folder / name).is_file()]
            if not missing:
                return folder
            if len(missing) < len(self.md5):
                raise DatasetError(f"{self.name} in {folder} is incomplete: {', '.join(missing)} missing")
        return None

    def _read_split(self, folder: Path, split: SplitName) -> Split:
        images, labels = (folder / name for name in _file_names(split))
        return read_idx_split(images, labels, self.md5)

    def _fetch_with_keras(self) -> dict[SplitName, Split]:
        quiet_tensorflow()
        module = importlib.import_module(f"keras.datasets.{self.keras_module}")
        try:
            with _download_manners():
                train, test = module.load_data()
        except Exception as error:  # Keras raises bare Exception for a failed download
            raise DatasetUnavailableError(
                f"{self.name} was found nowhere; tried: {tried()}, keras.datasets.{self.keras_module} ({error})"
            ) from error
        return {"train": _to_split(*train), "test": _to_split(*test)}


def _passed_over() -> str:
    folder = variables_folder()
    return "" if folder is None else f" (${DATA_VARIABLE}, {folder}, has none)"


def _file_names(split: SplitName) -> tuple[str, str]:
    prefix = _PREFIXES[split]
    return f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"


def _to_split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(images.astype(np.uint8), labels.astype(np.int64))


@contextlib.contextmanager
def _download_manners() -> Iterator[None]:
    """Keras' download bar goes to stderr, and a network that swallows packets is given up on."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)


MNIST = IdxSource(
    name="mnist",
    labels=tuple("0123456789"),
    md5=MappingProxyType(
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        }
    ),
    keras_module="mnist",
)

FASHION_MNIST = IdxSource(
    name="fashion-mnist",
    labels=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    md5=MappingProxyType(
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        }
    ),
    keras_module="fashion_mnist",
)
