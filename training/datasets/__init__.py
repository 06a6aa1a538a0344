"""The data sets by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from training.datasets.base import Dataset, DatasetSource, Split
from training.datasets.digits import DIGITS
from training.datasets.mnist import FASHION_MNIST, MNIST
from training.errors import UsageError

__all__ = ["DATASETS", "Dataset", "DatasetSource", "Split", "load_dataset"]

DATASETS: Mapping[str, DatasetSource] = MappingProxyType(
    {source.name: source for source in (DIGITS, FASHION_MNIST, MNIST)}
)


def load_dataset(name: str, data_dir: Path | None = None) -> Dataset:
    """Loads both splits of a data set from `data_dir`, or else `$ATELIER_DATA`, or else Keras' cache or download.

    Raises:
        UsageError: no data set of that name, it is not in `data_dir`, or `$ATELIER_DATA` names no folder.
        DatasetUnavailableError: it was in none of these places.
        DatasetError: it was found, but is damaged.
    """
    if name not in DATASETS:
        raise UsageError(f"there is no data set {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name].load(data_dir)
