"""Folders of IDX files that are not MNIST's own."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from serving.images import ImageSpec
from tests.support.image_files import write_tree
from training.datasets import Dataset, LoadOptions, load_dataset
from training.errors import DatasetError

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.integers(0, 256, (10, 4, 6), dtype=np.uint8), np.arange(10, dtype=np.uint8) % 3


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def files(first: int = 0) -> dict[str, bytes]:
    return {
        "train-images-idx3-ubyte": idx(X),
        "train-labels-idx1-ubyte": idx(Y + np.uint8(first)),
        "t10k-images-idx3-ubyte": idx(X[:4]),
        "t10k-labels-idx1-ubyte": idx(Y[:4] + np.uint8(first)),
    }


def load(folder: Path) -> Dataset:
    return load_dataset("folder", LoadOptions(data_dir=folder, image=ImageSpec(4, 6, "grayscale")))


def test_the_four_files_become_two_splits_with_numbers_for_labels(tmp_path: Path) -> None:
    dataset = load(write_tree(tmp_path, files() | {"LICENSE.txt": b""}))

    assert dataset.labels == ("0", "1", "2")
    assert dataset.source == str(tmp_path)
    np.testing.assert_array_equal(dataset.train.inputs, X)
    np.testing.assert_array_equal(dataset.train.targets, Y)
    assert dataset.train.targets.dtype == np.int64
    assert dataset.test is not None
    assert dataset.test.targets.tolist() == [0, 1, 2, 0]


def test_they_may_be_packed_and_go_by_the_names_that_are_usual(tmp_path: Path) -> None:
    packed = {f"{name}.gz": gzip.compress(content) for name, content in files().items()}
    emnist = {f"emnist-mnist-{name.replace('t10k', 'test')}": content for name, content in packed.items()}
    dotted = {name.replace("-idx", ".idx"): content for name, content in files().items()}

    found = [
        load(write_tree(tmp_path / str(number), layout))
        for number, layout in enumerate((files(), packed, emnist, dotted, files() | packed))
    ]

    assert len({dataset.sha256 for dataset in found}) == 1


def test_classes_may_be_counted_from_one(tmp_path: Path) -> None:
    dataset = load(write_tree(tmp_path, files(first=1)))

    assert dataset.labels == ("1", "2", "3")
    np.testing.assert_array_equal(dataset.train.targets, Y)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"t10k-labels-idx1-ubyte": None}, "incomplete: expected train images, .*, received no test labels$"),
        ({"letters-train-images-idx3-ubyte": idx(X)}, "of several data sets: expected one, received '', 'letters-'"),
        ({"train-labels-idx1-ubyte": idx(Y[:9])}, "do not belong together: 10 images, but 9 labels"),
        ({"train-images-idx3-ubyte": idx(X)[:-1]}, "train-images-idx3-ubyte is damaged: the header announces"),
        ({"t10k-images-idx3-ubyte": idx(X[:4, :2])}, "t10k-images-idx3-ubyte has images of 2 x 6 .*, but the recipe"),
        ({"train-labels-idx1-ubyte": idx(Y * np.uint8(2))}, "no training example of 1, 3: expected some of each of"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, changed: dict[str, bytes | None], sentence: str) -> None:
    given = {name: content for name, content in (files() | changed).items() if content is not None}
    with pytest.raises(DatasetError, match=sentence):
        load(write_tree(tmp_path, given))
