"""The data sets by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from training.datasets.base import Dataset, DatasetSource, Split
from training.datasets.digits import DIGITS
from training.datasets.mnist import FASHION_MNIST, MNIST
from training.errors import UsageError

__all__ = ["DATASETS", "Dataset", "DatasetSource", "Split", "load_dataset", "load_test_split"]

DATASETS: Mapping[str, DatasetSource] = MappingProxyType(
    {source.name: source for source in (DIGITS, FASHION_MNIST, MNIST)}
)


def load_dataset(name: str, data_dir: Path | None = None) -> Dataset:
    """Loads both splits of a data set from `data_dir`, `$ATELIER_DATA`, or Keras' cache or download.

    Raises:
        UsageError: no data set of that name.
        DatasetUnavailableError: it was in none of these places.
        DatasetError: it was found, but is damaged.
    """
    return _source(name).load(data_dir)


def load_test_split(name: str, data_dir: Path | None = None) -> Split:
    """Loads the test split alone; finds it and raises as `load_dataset` does."""
    return _source(name).load_test(data_dir)


def _source(name: str) -> DatasetSource:
    if name not in DATASETS:
        raise UsageError(f"there is no data set {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name]
