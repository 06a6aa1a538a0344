"""scikit-learn's built-in 8x8 handwritten digits: 1,797 images that need no download."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.datasets.base import Dataset, LoadOptions, Split, refuse_data_dir, require_native_size

TEST_FRACTION = 0.2
SPLIT_SEED = 0
IMAGE_SHAPE = (8, 8)
BRIGHTEST = 16
"""The pixels come as 0..16."""


@dataclass(frozen=True)
class Digits:
    """The digits, pixels scaled to 0-255; a fixed, stratified fifth is the test split.

    They come with scikit-learn, so that there is no `data_dir` to look into.
    """

    name: str = "digits"
    labels: tuple[str, ...] = tuple("0123456789")

    def load(self, options: LoadOptions) -> Dataset:
        """Loads both splits: 1,437 and 360 images, uint8 `[N, 8, 8]`.

        Raises:
            UsageError: `data_dir` is given.
            DatasetError: another size was asked for.
        """
        refuse_data_dir(self.name, "scikit-learn", options.data_dir)
        require_native_size(self.name, IMAGE_SHAPE, options.image)
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        bundled = load_digits()
        images = np.round(bundled.images * (255 / BRIGHTEST)).astype(np.uint8)
        labels = bundled.target.astype(np.int64)
        train, test = train_test_split(
            np.arange(len(labels)), test_size=TEST_FRACTION, random_state=SPLIT_SEED, stratify=labels
        )
        everything = Split(images, labels)
        return Dataset(
            self.name,
            self.labels,
            everything.take(train),
            everything.take(test),
            source="scikit-learn's built-in digits",
        )


DIGITS = Digits()
