"""The data sets by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from training.datasets.base import Dataset, DatasetSource, LoadOptions, Split, require_examples
from training.datasets.celsius import CELSIUS
from training.datasets.digits import DIGITS
from training.datasets.folder import FOLDER
from training.datasets.mnist import FASHION_MNIST, MNIST
from training.datasets.photographs import CATS_VS_DOGS, FLOWERS, HORSES_OR_HUMANS
from training.errors import UsageError
from training.paths import require_text

__all__ = ["DATASETS", "Dataset", "DatasetSource", "LoadOptions", "Split", "load_dataset"]

DATASETS: Mapping[str, DatasetSource] = MappingProxyType(
    {
        source.name: source
        for source in (CATS_VS_DOGS, CELSIUS, DIGITS, FASHION_MNIST, FLOWERS, FOLDER, HORSES_OR_HUMANS, MNIST)
    }
)


def load_dataset(name: str, options: LoadOptions | None = None) -> Dataset:
    """Loads all splits of a data set from the options' `data_dir`, or else `$ATELIER_DATA`, or else its own place.

    Raises:
        UsageError: no data set of that name, `data_dir` is no text, has it not or is of no use to it, or
            `$ATELIER_DATA` names no folder.
        DatasetUnavailableError: it was in none of these places.
        DatasetError: it was found, but is damaged, does not fit the options, or has no training example of a class.
    """
    if name not in DATASETS:
        raise UsageError(f"there is no data set {name!r}; known: {', '.join(DATASETS)}")
    options = LoadOptions() if options is None else options
    if options.data_dir is not None:
        require_text(options.data_dir.absolute(), "--data")
    dataset = DATASETS[name].load(options)
    require_examples(dataset)
    return dataset
