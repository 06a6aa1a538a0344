"""npz files with the arrays that Keras' own data sets have."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.images import ImageSpec
from tests.support.image_files import plain
from training.datasets import Dataset, LoadOptions, load_dataset
from training.errors import DatasetError

SPEC = ImageSpec(4, 6, "grayscale")
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.integers(0, 256, (10, 4, 6), dtype=np.uint8), np.arange(10, dtype=np.uint8) % 3
GIVEN: dict[str, Any] = {"x_train": X, "y_train": Y, "x_test": X[:4], "y_test": Y[:4]}


def load(path: Path, image: ImageSpec = SPEC) -> Dataset:
    return load_dataset("folder", LoadOptions(data_dir=path, image=image))


def written(path: Path, **changed: Any) -> Path:
    np.savez_compressed(path, **{name: array for name, array in (GIVEN | changed).items() if array is not None})
    return path


def test_the_arrays_become_splits(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npz", x_val=X[5:8], y_val=Y[5:8, None])

    dataset = load(path)

    assert dataset.labels == ("0", "1", "2")
    assert dataset.source == str(path)
    assert [len(split) for _, split in dataset.splits()] == [10, 3, 4]
    np.testing.assert_array_equal(dataset.train.inputs, X)
    assert dataset.validation is not None
    assert dataset.validation.targets.tolist() == [2, 0, 1]
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.uint8, np.int64)


def test_validation_is_enough_to_judge_by(tmp_path: Path) -> None:
    dataset = load(written(tmp_path / "a.npz", x_test=None, y_test=None, x_val=X, y_val=Y))

    assert dataset.evaluation[0] == "validation"


def test_classes_may_have_names_and_images_a_channel_or_a_wider_type(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npz", labels=np.array(["red", "green", "blue"]), x_train=X[..., None].astype(int))

    dataset = load(path)

    assert dataset.labels == ("red", "green", "blue")
    np.testing.assert_array_equal(dataset.train.inputs, X)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"x_train": None, "y_train": None},
            "has no x_train and y_train: expected an npz file with x_train, y_train, x_t",
        ),
        ({"y_train": None}, "has x_train, but no y_train"),
        ({"x_test": None, "y_test": None}, "folder has neither a test nor a validation split"),
        ({"y_train": Y[:9]}, "10 images, but 9 labels"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "there are no images"),
        ({"x_train": X / 255}, "expected images of whole numbers 0-255, received float64"),
        ({"x_train": X.astype(int) + 1}, "expected pixels of 0-255, received "),
        ({"x_train": X[0]}, r"expected images of shape \[N, H, W\] or \[N, H, W, 3\], received \[4, 6\]"),
        ({"y_train": np.eye(10)}, r"expected classes as integers \[N\], received float64 \[10, 10\]"),
        ({"y_test": Y[:4] + 5}, r"folder's test split has classes 5\.\.7, expected 0\.\.2 \(from .*a\.npz\)"),
        (
            {"y_train": np.where(Y == 0, 9, Y)},
            "no training example of 0, 3, 4 and 4 more: expected some of each of its 10",
        ),
        (
            {"labels": np.array(list("abcd"))},
            r"folder has no training example of d: .* its 4 classes \(from .*a\.npz\)",
        ),
        (
            {"y_train": Y.astype(np.int64) * 10**15},
            r"expected the classes 0, 1, … without gaps, received 2,000,000,000,000,000 among 10 examples",
        ),
        ({"y_train": Y * 0, "y_test": Y[:4] * 0}, "folder has 1 classes, expected at least 2"),
        ({"labels": np.array([1, 2, 3])}, r"labels in .*: expected text \[n\], received int64 \[3\]"),
        ({"labels": np.array(["a", None, "c"], dtype=object)}, "is damaged, or more than memory holds: Object arrays"),
        ({"x_train": X[:, :2]}, "has images of 2 x 6 pixels in grayscale, but the recipe expects 4 x 6 pixels in gray"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        load(written(tmp_path / "a.npz", **changed))


def test_images_are_not_resized(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"a\.npz has images of 4 x 6 .*, but the recipe expects 8 x 8 pixels in rgb"
    ):
        load(written(tmp_path / "a.npz"), ImageSpec(8, 8, "rgb"))


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npz")
    whole = path.read_bytes()
    for damaged in (whole[:-100], b"", b"\x93NUMPY" + bytes(100)):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"a\.npz is no npz file, or cut short"):
            load(path)
    path.write_bytes(whole[:60] + bytes(100) + whole[160:])
    with pytest.raises(DatasetError, match=r"a\.npz is damaged, or more than memory holds: "):
        load(path)


def test_an_array_larger_than_memory_is_an_error(tmp_path: Path) -> None:
    path, header = tmp_path / "a.npz", io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", header.getvalue())
    with pytest.raises(DatasetError, match=r"a\.npz is damaged, or more than memory holds: "):
        load(path)


def test_a_zip_of_images_is_told_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cats/1.png", plain(1))
    with pytest.raises(
        DatasetError,
        match=r"images\.zip has no x_train and y_train: expected .* have to be unpacked",
    ):
        load(path)
