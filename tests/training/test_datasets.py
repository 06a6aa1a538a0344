"""Where data sets are found, and what is said when they are not."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from serving.images import ImageSpec
from training.datasets import Dataset, LoadOptions, Split, load_dataset
from training.datasets.mnist import FASHION_MNIST, IdxSource
from training.errors import DatasetError, DatasetUnavailableError, UsageError


def idx_gz(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def tiny_split(count: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    return Split(random.integers(0, 256, (count, 4, 4), dtype=np.uint8), random.integers(0, 3, count, dtype=np.int64))


TRAIN, TEST = tiny_split(6, seed=1), tiny_split(3, seed=2)
FILES = {
    "train-images-idx3-ubyte.gz": idx_gz(TRAIN.inputs),
    "train-labels-idx1-ubyte.gz": idx_gz(TRAIN.targets),
    "t10k-images-idx3-ubyte.gz": idx_gz(TEST.inputs),
    "t10k-labels-idx1-ubyte.gz": idx_gz(TEST.targets),
}
TINY = IdxSource(
    name="tiny",
    labels=("a", "b", "c"),
    md5={name: hashlib.md5(data).hexdigest() for name, data in FILES.items()},
    keras_module="tiny",
)


def write_files(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def keras_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras is asked last; here it always answers as on a machine without cache and network."""

    def load_data() -> None:
        raise Exception("URL fetch failure")  # noqa: TRY002 - this is what Keras raises

    monkeypatch.delenv("ATELIER_DATA", raising=False)
    for name in ("tiny", "mnist", "fashion_mnist"):
        monkeypatch.setitem(sys.modules, f"keras.datasets.{name}", SimpleNamespace(load_data=load_data))


@pytest.fixture
def keras_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        print("Downloading data from …")
        return (TRAIN.inputs, TRAIN.targets.astype(np.uint8)), (TEST.inputs, TEST.targets.astype(np.uint8))

    monkeypatch.setitem(sys.modules, "keras.datasets.tiny", SimpleNamespace(load_data=load_data))


@pytest.mark.parametrize("subfolder", ["tiny", "."])
def test_files_are_found_in_a_folder_of_the_data_sets_name_or_directly(tmp_path: Path, subfolder: str) -> None:
    folder = write_files(tmp_path / subfolder)

    dataset = TINY.load(LoadOptions(data_dir=tmp_path))

    assert dataset.source == str(folder)
    np.testing.assert_array_equal(dataset.train.inputs, TRAIN.inputs)
    np.testing.assert_array_equal(dataset.test.targets, TEST.targets)
    assert dataset.train.targets.dtype == np.int64


def test_the_folder_given_comes_before_the_environment_and_that_before_keras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keras_has_it: None
) -> None:
    given, variable = write_files(tmp_path / "given" / "tiny").parent, tmp_path / "variable"
    variable.mkdir()

    assert TINY.load(LoadOptions()).source == "keras.datasets.tiny"
    monkeypatch.setenv("ATELIER_DATA", str(variable))
    assert TINY.load(LoadOptions()).source == f"keras.datasets.tiny ($ATELIER_DATA, {variable}, has none)"
    write_files(variable / "tiny")
    assert TINY.load(LoadOptions()).source == str(variable / "tiny")
    assert TINY.load(LoadOptions(data_dir=given)).source == str(given / "tiny")


def test_a_folder_that_was_given_and_has_no_data_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keras_has_it: None
) -> None:
    monkeypatch.setenv("ATELIER_DATA", str(write_files(tmp_path / "variable")))
    with pytest.raises(UsageError) as caught:
        TINY.load(LoadOptions(data_dir=tmp_path))
    assert str(caught.value) == (
        f"tiny is not in {tmp_path}: expected {', '.join(FILES)} in {tmp_path / 'tiny'} or {tmp_path}"
    )


@pytest.mark.parametrize("name", ["mnist", "cats-vs-dogs"])
def test_what_was_given_has_to_be_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "train.tar").write_bytes(b"")

    for path, received in ((tmp_path / "nowhere", "{}, which does not exist"), (tmp_path / "train.tar", "the file {}")):
        with pytest.raises(UsageError) as caught:
            load_dataset(name, LoadOptions(data_dir=path))
        assert str(caught.value) == f"{name}: expected a folder, received {received.format(path)}"


@pytest.mark.parametrize(("name", "origin"), [("digits", "scikit-learn"), ("celsius", "Atelier")])
def test_what_comes_with_a_library_is_looked_for_nowhere(tmp_path: Path, name: str, origin: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_dataset(name, LoadOptions(data_dir=tmp_path))
    assert str(caught.value) == f"{name} comes with {origin}: expected no --data, received {tmp_path}"


def test_a_variable_that_names_no_folder_is_wrong_use(monkeypatch: pytest.MonkeyPatch, keras_has_it: None) -> None:
    monkeypatch.setenv("ATELIER_DATA", "/nowhere")
    with pytest.raises(UsageError, match=r"^\$ATELIER_DATA: expected a folder, received /nowhere$"):
        TINY.load(LoadOptions())


def test_the_digest_is_the_same_wherever_the_data_came_from(tmp_path: Path, keras_has_it: None) -> None:
    from_keras = TINY.load(LoadOptions())

    from_files = TINY.load(LoadOptions(data_dir=write_files(tmp_path)))

    assert from_keras.sha256 == from_files.sha256


def test_the_digest_changes_with_one_pixel_and_with_one_label() -> None:
    dataset = Dataset("tiny", TINY.labels, TRAIN, TEST, source="")
    pixels, labels = TEST.inputs.copy(), TEST.targets.copy()
    pixels[0, 0, 0] ^= 1
    labels[0] = (labels[0] + 1) % 3

    digests = {
        dataset.sha256,
        dataclasses.replace(dataset, test=Split(pixels, TEST.targets)).sha256,
        dataclasses.replace(dataset, test=Split(TEST.inputs, labels)).sha256,
    }

    assert len(digests) == 3


def test_the_download_bar_stays_off_standard_output(keras_has_it: None, capsys: pytest.CaptureFixture[str]) -> None:
    TINY.load(LoadOptions())

    assert capsys.readouterr().out == ""


def test_unavailable_data_is_said_with_the_folder_that_was_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_DATA", str(tmp_path))

    with pytest.raises(DatasetUnavailableError) as caught:
        TINY.load(LoadOptions())

    assert str(caught.value) == (
        f"tiny was found nowhere; tried: $ATELIER_DATA ({tmp_path}), keras.datasets.tiny (URL fetch failure)"
    )


def test_unavailable_data_is_said_with_what_could_have_been_given() -> None:
    with pytest.raises(DatasetUnavailableError, match=r"no --data or \$ATELIER_DATA was given, keras.datasets.mnist"):
        load_dataset("mnist")


def test_an_incomplete_folder_is_an_error_that_names_the_missing_file(tmp_path: Path, keras_has_it: None) -> None:
    write_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()

    with pytest.raises(DatasetError, match=r"incomplete: t10k-labels-idx1-ubyte.gz missing"):
        TINY.load(LoadOptions(data_dir=tmp_path))


def test_a_damaged_file_is_an_error_and_no_reason_to_look_elsewhere(tmp_path: Path, keras_has_it: None) -> None:
    write_files(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(FILES["train-images-idx3-ubyte.gz"][:20])

    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte.gz is cut short"):
        TINY.load(LoadOptions(data_dir=tmp_path))


def test_the_files_of_another_data_set_are_refused_by_their_checksum(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"not the official file: expected MD5 8d4fb7e6c68d591d4c3dfef9ec88bf0d"):
        load_dataset("fashion-mnist", LoadOptions(data_dir=write_files(tmp_path)))


def test_files_with_different_counts_do_not_belong_together(tmp_path: Path) -> None:
    labels = idx_gz(TEST.targets[:-1])
    source = dataclasses.replace(TINY, md5={**TINY.md5, "t10k-labels-idx1-ubyte.gz": hashlib.md5(labels).hexdigest()})
    write_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(labels)

    with pytest.raises(DatasetError, match=r"do not belong together: 3 images, but 2 labels"):
        source.load(LoadOptions(data_dir=tmp_path))


def test_a_class_without_a_name_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"tiny's training split has classes 0..2, expected 0..1 \(from here\)"):
        Dataset("tiny", ("a", "b"), TRAIN, TEST, source="here")


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DatasetError, match="there are no images"):
        Split(np.zeros((0, 4, 4), np.uint8), np.zeros(0, np.int64))


def test_an_unknown_data_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no data set 'cifar'; known: cats-vs-dogs, celsius, digits, "):
        load_dataset("cifar")


def test_the_digits_need_no_files_and_use_the_whole_range_of_a_byte(digits: Dataset) -> None:
    assert digits.train.inputs.shape == (1437, 8, 8)
    assert digits.test.inputs.shape == (360, 8, 8)
    assert digits.train.inputs.dtype == np.uint8
    assert (digits.train.inputs.min(), digits.train.inputs.max()) == (0, 255)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_data_sets_are_read_with_their_checksums(data_dir: Path, name: str) -> None:
    dataset = load_dataset(name, LoadOptions(data_dir=data_dir))

    assert len(dataset.labels) == 10
    assert dataset.train.inputs.shape == (60_000, 28, 28)
    assert dataset.test.inputs.shape == (10_000, 28, 28)
    assert set(np.bincount(dataset.test.targets)) == {1000} or name == "mnist"


def test_fashion_mnist_has_the_ten_official_names() -> None:
    assert FASHION_MNIST.labels[9] == "Ankle boot"
    assert len(set(FASHION_MNIST.labels)) == 10


@pytest.mark.parametrize("image", [ImageSpec(28, 28, "grayscale"), ImageSpec(8, 8, "rgb")])
def test_images_of_one_size_are_not_resized(image: ImageSpec) -> None:
    expected = f"{image.height} x {image.width} pixels in {image.colour}"
    with pytest.raises(DatasetError) as caught:
        load_dataset("digits", LoadOptions(image=image))
    assert str(caught.value) == (
        f"digits has images of 8 x 8 pixels in grayscale, but the recipe expects {expected}"
        "; --set image_size=8 --set colour=grayscale takes them as they are"
    )


def test_a_folder_of_idx_files_is_not_resized_either(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"tiny has images of 4 x 4 pixels in grayscale, but .* 28 x 28 pixels"):
        TINY.load(LoadOptions(data_dir=write_files(tmp_path), image=ImageSpec(28, 28, "grayscale")))
    assert TINY.load(LoadOptions(data_dir=tmp_path, image=ImageSpec(4, 4, "grayscale"))).train.inputs.shape == (6, 4, 4)


def test_celsius_is_trained_on_the_courses_pairs_and_tested_on_others() -> None:
    dataset = load_dataset("celsius")

    assert dataset.labels == ()
    assert dataset.train.inputs[:, 0].tolist() == [-40, -10, 0, 8, 15, 22, 38]
    assert dataset.train.targets[:, 0].tolist() == [-40, 14, 32, 46, 59, 72, 100]
    assert dataset.test is not None
    np.testing.assert_allclose(dataset.test.targets, dataset.test.inputs * 1.8 + 32, rtol=1e-6)
    assert [100, 212] in np.hstack([dataset.test.inputs, dataset.test.targets]).tolist()
    assert not set(dataset.train.inputs[:, 0]) & set(dataset.test.inputs[:, 0])
    assert {split.inputs.dtype for _, split in dataset.splits()} == {np.dtype(np.float32)}


def test_numbers_are_no_images() -> None:
    with pytest.raises(DatasetError, match="celsius holds numbers, but the recipe expects images"):
        load_dataset("celsius", LoadOptions(image=ImageSpec(8, 8, "grayscale")))
