"""The course's photographs: where they are found, in which packings, and what damage is noticed."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from serving.images import ImageSpec
from tests.support.image_files import plain, write_tar, write_tree
from training.datasets import Dataset, LoadOptions, load_dataset
from training.datasets.photographs import CATS_VS_DOGS, FLOWERS, HORSES_OR_HUMANS, Checksum, Photographs
from training.errors import DatasetError, DatasetUnavailableError, UsageError

SPEC = ImageSpec(4, 6, "grayscale")
SPLITS = {
    split: {
        f"cats_and_dogs/{split}/{name}/{position}.png": plain(100 * s + 10 * n + position)
        for n, name in enumerate(("cats", "dogs"))
        for position in range(3)
    }
    for s, split in enumerate(("train", "validation"))
}
EVERYTHING = SPLITS["train"] | SPLITS["validation"]
PHOTOS = {
    f"flower_photos/{name}/{position}.jpg": plain(10 * n + position)
    for n, name in enumerate(FLOWERS.labels)
    for position in range(10)
} | {"flower_photos/LICENSE.txt": b"CC BY 2.0"}


@pytest.fixture(autouse=True)
def without_the_variable(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "data_dir" not in request.fixturenames:
        monkeypatch.delenv("ATELIER_DATA", raising=False)


def load(name: str, data_dir: Path | None) -> Dataset:
    return load_dataset(name, LoadOptions(data_dir=data_dir, image=SPEC))


def tars(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, files in SPLITS.items():
        write_tar(folder / f"{split}.tar", files)
    return folder


def test_it_is_found_as_tar_files_and_as_folders_in_all_the_usual_places(tmp_path: Path) -> None:
    places = [tars(tmp_path / "1" / "cats-and-dogs").parent, tars(tmp_path / "2")]
    for number, folder in enumerate(
        ("cats-and-dogs/cats_and_dogs_filtered", "cats_and_dogs_filtered", "cats-and-dogs")
    ):
        files = {name.replace("cats_and_dogs", folder, 1): content for name, content in EVERYTHING.items()}
        places.append(write_tree(tmp_path / f"folders-{number}", files))
    places.append(tmp_path / "folders-1" / "cats_and_dogs_filtered")

    found = [load("cats-vs-dogs", place) for place in places]

    assert len({dataset.sha256 for dataset in found}) == 1
    assert found[0].test is None
    assert [len(split) for _, split in found[0].splits()] == [6, 6]
    assert found[0].source == f"{places[0]}/cats-and-dogs/train.tar, {places[0]}/cats-and-dogs/validation.tar"


def test_a_set_without_splits_has_a_fixed_fifth_of_each_class_held_out(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "folder", PHOTOS)
    (tmp_path / "tar").mkdir()
    write_tar(tmp_path / "tar" / "flower_photos.tgz", PHOTOS, "w:gz")

    dataset, packed = load("flowers", folder), load("flowers", tmp_path / "tar")

    assert dataset.validation is not None
    assert dataset.test is None
    assert np.bincount(dataset.validation.targets).tolist() == [2, 2, 2, 2, 2]
    assert dataset.sha256 == packed.sha256


def test_the_folder_given_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_DATA", str(tars(tmp_path / "variable")))
    tars(tmp_path / "given")

    assert load("cats-vs-dogs", None).source.startswith(str(tmp_path / "variable"))
    assert load("cats-vs-dogs", tmp_path / "given").source.startswith(str(tmp_path / "given"))
    with pytest.raises(UsageError) as caught:
        load("cats-vs-dogs", tmp_path)
    assert str(caught.value) == (
        f"cats-vs-dogs is not in {tmp_path}: expected train.tar and validation.tar, folders train and validation, or "
        f"cats_and_dogs_filtered or cats_and_dogs in {tmp_path / 'cats-and-dogs'} or {tmp_path}"
    )


@pytest.mark.parametrize("name", ["cats-vs-dogs", "horses-or-humans", "flowers"])
def test_unavailable_data_is_said_with_the_places(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetUnavailableError, match=rf"{name} was found nowhere; tried: no --data or \$ATELIER_DATA"):
        load(name, None)
    monkeypatch.setenv("ATELIER_DATA", str(tmp_path))
    with pytest.raises(DatasetUnavailableError, match=rf"nowhere; tried: \$ATELIER_DATA \({tmp_path}\); expected tr"):
        load(name, None)


def test_half_a_data_set_is_incomplete(tmp_path: Path) -> None:
    (tars(tmp_path) / "validation.tar").unlink()
    with pytest.raises(DatasetError, match=f"cats-vs-dogs in {tmp_path} is incomplete: validation is missing"):
        load("cats-vs-dogs", tmp_path)


def test_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected the classes horses, humans, received cats, dogs"):
        load("horses-or-humans", tars(tmp_path))


def test_splits_with_different_classes_are_refused(tmp_path: Path) -> None:
    write_tar(
        tars(tmp_path) / "validation.tar", SPLITS["validation"] | {"cats_and_dogs/validation/birds/1.png": plain(1)}
    )
    with pytest.raises(DatasetError, match="train and validation have different classes: only validation has birds"):
        load("cats-vs-dogs", tmp_path)


@pytest.fixture
def known(tmp_path: Path) -> Photographs:
    """The set as it is in `tmp_path`, with the checksum of its `train.tar`."""
    content = (tars(tmp_path) / "train.tar").read_bytes()
    checksum = Checksum(len(content), hashlib.sha256(content).hexdigest())
    return dataclasses.replace(CATS_VS_DOGS, known={"train.tar": checksum})


def test_a_known_file_of_the_known_size_must_have_its_checksum(tmp_path: Path, known: Photographs) -> None:
    options = LoadOptions(data_dir=tmp_path, image=SPEC)
    assert len(known.load(options).train) == 6

    path = tmp_path / "train.tar"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(
        DatasetError, match=rf"{path} is damaged: expected SHA-256 [0-9a-f]{{64}}, received [0-9a-f]{{64}}"
    ):
        known.load(options)


def test_another_copy_of_a_data_set_is_as_good(tmp_path: Path, known: Photographs) -> None:
    write_tar(
        tmp_path / "train.tar",
        SPLITS["train"] | {"cats_and_dogs/train/cats/more.png": plain(99), "notes.txt": bytes(20_000)},
    )

    assert len(known.load(LoadOptions(data_dir=tmp_path, image=SPEC)).train) == 7


def test_a_tar_file_that_is_cut_short_is_damaged(tmp_path: Path) -> None:
    path = tars(tmp_path) / "train.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DatasetError, match=r"train\.tar is no tar file, cut short, or damaged: "):
        load("cats-vs-dogs", tmp_path)


@pytest.mark.parametrize(
    ("source", "train", "validation"),
    [
        (CATS_VS_DOGS, [1000, 1000], [500, 500]),
        (HORSES_OR_HUMANS, [400, 434], [100, 93]),
        (FLOWERS, [240] * 5, [60] * 5),
    ],
    ids=lambda value: value.name if isinstance(value, Photographs) else "",
)
def test_the_real_data_sets_are_complete(
    data_dir: Path, source: Photographs, train: list[int], validation: list[int]
) -> None:
    warnings: list[str] = []
    options = LoadOptions(data_dir=data_dir, image=ImageSpec(16, 16, "rgb"), strict=True, warn=warnings.append)

    dataset = source.load(options)

    assert dataset.labels == source.labels
    assert np.bincount(dataset.train.targets).tolist() == train
    assert dataset.validation is not None
    assert np.bincount(dataset.validation.targets).tolist() == validation
    assert warnings == []
