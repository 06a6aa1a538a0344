"""Folders of images that nobody here prepared: which splits and classes they have, and what is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from serving.images import ImageSpec, decode_image
from tests.support.image_files import file_of, gradient, plain, write_tree
from training.datasets import Dataset, LoadOptions, Split, load_dataset
from training.errors import DatasetError, UsageError

SPEC = ImageSpec(4, 6, "grayscale")


SAME_FOLDERS = "have the same folders in them"
TOO_FEW = "has fewer than two classes: expected a folder for each class"
EXPECTED_SPLITS = (
    "expected splits to be called train, training, validation, valid, val, dev, test, testing, eval, "
    "or classes without splits in them"
)


def load(path: Path | None, image: ImageSpec | None = SPEC) -> Dataset:
    """The data set, where nothing may be left out."""
    warnings: list[str] = []
    dataset = load_dataset("folder", LoadOptions(data_dir=path, image=image, warn=warnings.append))
    assert warnings == []
    return dataset


def shades(split: Split | None) -> list[int]:
    """The one shade that each image was written with."""
    assert split is not None
    return [int(image.flat[0]) for image in split.inputs]


def many(names: str, count: int) -> dict[str, bytes]:
    """As many images in each class, no two of one shade."""
    return {
        f"{name}/{position:02}.png": plain(count * index + position)
        for index, name in enumerate(names.split())
        for position in range(count)
    }


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


@pytest.mark.parametrize(
    "spelling", ["train validation test", "Training val Testing", "TRAIN Valid eval", "t/train t/dev t/test"]
)
def test_splits_are_taken_as_they_are(tmp_path: Path, spelling: str) -> None:
    train, validation, test = spelling.split()
    files = {
        f"{train}/cats/b.png": plain(2),
        f"{train}/cats/a.png": plain(1),
        f"{train}/dogs/a.png": plain(3),
        f"{validation}/cats/a.png": plain(4),
        f"{validation}/dogs/a.png": plain(5),
        f"{test}/cats/a.png": plain(6),
        f"{test}/dogs/a.png": plain(7),
    }

    dataset = load(write_tree(tmp_path, files))

    assert dataset.labels == ("cats", "dogs")
    assert dataset.source == str(tmp_path)
    assert [shades(split) for _, split in dataset.splits()] == [[1, 2, 3], [4, 5], [6, 7]]
    assert dataset.train.targets.tolist() == [0, 0, 1]
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.uint8, np.int64)


def test_without_splits_a_fixed_part_of_each_class_becomes_the_test_split(tmp_path: Path) -> None:
    files = many("cats dogs", 20)
    first = load(write_tree(tmp_path / "first", files))
    second = load(write_tree(tmp_path / "second" / "anything", below("deeper", files)).parent)

    assert first.validation is None
    assert first.test is not None
    assert np.bincount(first.test.targets).tolist() == [3, 3]
    assert sorted(shades(first.train) + shades(first.test)) == list(range(40))
    assert first.sha256 == second.sha256


@pytest.mark.parametrize("leading", ["cats_and_dogs", "a/b/c", "train", "data/train"])
def test_leading_folders_that_everything_lies_in_are_passed_over(tmp_path: Path, leading: str) -> None:
    assert load(write_tree(tmp_path, below(leading, many("cats dogs", 2)))).labels == ("cats", "dogs")


def test_splits_may_lie_below_leading_folders_and_have_some_themselves(tmp_path: Path) -> None:
    classes = many("cats dogs", 1)

    dataset = load(write_tree(tmp_path, below("set/train/train", classes) | below("set/test", classes)))

    assert len(dataset.train) == 2
    assert dataset.test is not None


def test_a_class_may_have_folders_and_be_called_like_a_split(tmp_path: Path) -> None:
    files = {"train/1.png": plain(1), "train/fast/2.png": plain(2), "bus/a/3.png": plain(3), "bus/b/4.png": plain(4)}

    assert load(write_tree(tmp_path, files)).labels == ("bus", "train")


def test_images_of_any_size_and_format_become_what_serving_would_make_of_them(tmp_path: Path) -> None:
    photo = file_of(gradient("RGB", 40, 30), "JPEG")
    files = {
        "train/a/1.JPG": photo,
        "train/a/really-a-gif.png": file_of(gradient("P", 9, 9), "GIF"),
        "train/b/no-ending": file_of(gradient("RGBA", 5, 80), "WEBP"),
        "test/a/1.bmp": file_of(gradient("L", 3, 3), "BMP"),
        "test/b/1.png": plain(1),
    }
    spec = ImageSpec(20, 20, "rgb")

    dataset = load(write_tree(tmp_path, files), spec)

    assert dataset.train.inputs.shape == (3, 20, 20, 3)
    np.testing.assert_array_equal(dataset.train.inputs[0], decode_image(photo, spec))


def test_what_is_hidden_or_no_image_is_passed_over(tmp_path: Path) -> None:
    nothing = {
        "README": b"text",
        "cats/README.txt": b"text",
        "cats/.DS_Store": b"\0",
        "cats/Thumbs.db": b"\0",
        "cats/._00.png": b"\0",
        ".git/x.png": b"\0",
        "__MACOSX/cats/00.png": b"\0",
        "license.md": b"text",
    }
    dataset = load(write_tree(tmp_path / "with", many("cats dogs", 2) | nothing | {"cats/.thumbs/1.png": b""}))

    assert dataset.labels == ("cats", "dogs")
    assert len(dataset.train) == 2


def test_files_with_other_endings_are_left_out_and_said_once(tmp_path: Path) -> None:
    others = {"labels.csv": b"a,b", "cats/00.txt": b"text", "cats/01.json": b"{}", "dogs/a.psd": b"8BPS"}
    warnings: list[str] = []

    dataset = load_dataset(
        "folder",
        LoadOptions(
            data_dir=write_tree(tmp_path, many("cats dogs", 2) | others), image=SPEC, warn=warnings.append, strict=True
        ),
    )

    assert len(dataset.train) == 2
    (warning,) = warnings
    assert warning.startswith(f"{tmp_path}: left out 4 files whose names do not end like an image's: cats/00.txt, ")
    assert warning.endswith(", cats/01.json, dogs/a.psd and 1 more")


def test_formats_that_the_gateway_does_not_take_can_be_trained_with(tmp_path: Path) -> None:
    picture, sixteen_bits = gradient("L"), np.asarray(gradient("L")).astype(np.uint16) * 257
    files = {
        "train/a/1.tif": file_of(picture, "TIFF", compression="tiff_lzw"),
        "train/a/2.TIFF": file_of(Image.fromarray(sixteen_bits), "TIFF"),
        "train/a/3.pgm": file_of(picture, "PPM"),
        "train/b/4.pgm": file_of(Image.fromarray(sixteen_bits), "PPM"),
        "train/b/5.jp2": file_of(picture, "JPEG2000"),
        "test/a/6.png": file_of(picture, "PNG"),
        "test/b/7.png": file_of(picture, "PNG"),
    }

    dataset = load(write_tree(tmp_path, files), ImageSpec(8, 12, "grayscale"))

    np.testing.assert_array_equal(dataset.train.inputs, np.stack([np.asarray(picture)] * 5))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_images_can_be_trained_with(tmp_path: Path) -> None:
    files = {f"{name}/{position}.avif": file_of(gradient("RGB"), "AVIF") for name in "ab" for position in range(2)}

    dataset = load(write_tree(tmp_path, files), ImageSpec(8, 12, "rgb"))

    assert np.abs(dataset.train.inputs[0].astype(int) - np.asarray(gradient("RGB"))).max() < 32


def test_pixels_that_are_no_usual_ones_are_left_out_and_said(tmp_path: Path) -> None:
    floats = Image.fromarray(np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6))
    wide = Image.fromarray(np.arange(24, dtype=np.int32).reshape(4, 6) * 10_000)
    files = {"a/floats.tif": file_of(floats, "TIFF"), "a/wide.tif": file_of(wide, "TIFF")}
    warnings: list[str] = []

    load_dataset(
        "folder",
        LoadOptions(data_dir=write_tree(tmp_path, many("a b", 20) | files), image=SPEC, warn=warnings.append),
    )

    (warning,) = warnings
    assert (
        "a/floats.tif (the image has no usual pixels: expected 8 or 16 bits a channel, received fractions)" in warning
    )
    assert "received values 0 to 230000)" in warning


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write_tree(tmp_path / "elsewhere", many("cats", 3))
    data = write_tree(tmp_path / "data", many("dogs", 3))
    (data / "cats").symlink_to(tmp_path / "elsewhere" / "cats")
    (tmp_path / "elsewhere" / "cats" / "up").symlink_to(data)
    (data / "dogs" / "self").symlink_to(data / "dogs" / "self")
    (data / "dogs" / "here").symlink_to(".")
    (data / "dogs" / "gone.png").symlink_to("nowhere")
    os.mkfifo(data / "dogs" / "pipe.png")
    warnings: list[str] = []

    dataset = load_dataset("folder", LoadOptions(data_dir=data, image=SPEC, warn=warnings.append))

    assert dataset.labels == ("cats", "dogs")
    assert len(dataset.train) + len(dataset.test or ()) == 6
    warning, *_ = warnings
    assert warning.startswith("left out 2 of 8 images that cannot be decoded: ")
    assert "dogs/gone.png (No such file or directory)" in warning
    assert "dogs/self (Too many levels of symbolic links)" in warning


def test_names_that_are_no_text_are_shown_in_printable_characters(tmp_path: Path) -> None:
    data = write_tree(tmp_path, many("b c", 2))
    (data / "b").rename(os.fsdecode(os.fsencode(data) + b"/a\xe9\nz"))

    assert load(data).labels == ("a\\udce9\\nz", "c")


def test_a_class_with_one_image_is_trained_on_and_said_not_to_be_tested(tmp_path: Path) -> None:
    warnings: list[str] = []
    data = write_tree(tmp_path, many("a b", 4) | {"c/1.png": plain(99)})

    dataset = load_dataset("folder", LoadOptions(data_dir=data, image=SPEC, warn=warnings.append))

    assert 99 in shades(dataset.train)
    assert warnings == ["the test split has no image of c, which is trained on, but not tested"]


def test_the_folder_has_to_be_given() -> None:
    with pytest.raises(UsageError, match="--data is missing: data set folder expects a folder with one sub-folder"):
        load(None)


def test_a_recipe_for_numbers_cannot_take_images(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="these are images, but the recipe expects numbers"):
        load(write_tree(tmp_path, many("a b", 2)), image=None)


def test_a_path_that_is_not_there_or_a_file_of_another_kind_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*nowhere: expected a folder with one sub-folder of images"):
        load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="there is no "):
        load(tmp_path / ("x" * 5000))
    for content in (b"", b"just text", plain(1)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(UsageError, match="file is neither a folder nor a tar file: expected a folder with one"):
            load(tmp_path / "file")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "has no images: expected one folder with images for each class"),
        ({"notes.txt": b""}, "has no images: expected one folder with images for each class"),
        (
            {"1.png": plain(1), "2.png": plain(2)},
            "has fewer than two classes: expected a folder for each class, found 2 images and no folders",
        ),
        ({"cats/1.png": plain(1)}, "has fewer than two classes: expected a folder for each class, found only cats"),
        (
            below("deep", many("a b", 1)) | {"deep/1.png": plain(1)},
            f"{TOO_FEW}, found only deep, which has images beside its folders a, b",
        ),
        (many("cats", 2) | {"dogs/": b""}, "has no images of dogs: the folder is empty"),
        (many("cats dogs", 1) | {"birds/a.txt": b""}, "has no images of birds: the folder is empty"),
        (
            below("train", many("a b", 1)) | below("test", many("a", 1)) | {"test/b/": b""},
            "/test has no images of b: the folder is empty",
        ),
        (
            below("train", many("a b c", 1)) | below("validation", many("a b d", 1)),
            ": train and validation have different classes: only train has c; only validation has d",
        ),
        (
            below("train", many("a b", 1)) | below("test", many("a b d e f g", 1)),
            ": train and test have different classes: only test has d, e, f and 1 more",
        ),
        (
            below("train", many("a b", 1)) | below("val", many("a b", 1)) | below("valid", many("a b", 1)),
            " has two folders for validation: val and valid",
        ),
        (
            below("validation", many("a b", 1)) | below("test", many("a b", 1)),
            " has test, validation, but no train with classes in it",
        ),
        (
            below("seg_train/seg_train", many("a b c d", 1))
            | below("seg_test/seg_test", many("a b c d", 1))
            | {"seg_pred/seg_pred/1.png": plain(1)},
            f": the folders seg_test, seg_train {SAME_FOLDERS}, a, b, c and 1 more: {EXPECTED_SPLITS}",
        ),
        (
            below("cats", many("train test", 2)) | below("dogs", many("train test", 2)),
            f": the folders cats, dogs {SAME_FOLDERS}, test, train: {EXPECTED_SPLITS}",
        ),
        (many("a b", 1), " has one image of each class: expected more, so that some can be kept for test"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_one_sentence(
    tmp_path: Path, files: dict[str, bytes], sentence: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        load(write_tree(tmp_path, files))
    assert str(caught.value).removeprefix(str(tmp_path)).strip() == sentence.strip()


def test_a_folder_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    write_tree(tmp_path, many("a b", 1))
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DatasetError, match=r"cannot be read: .*Permission denied"):
        load(tmp_path)


def test_what_lies_beside_the_splits_and_the_classes_is_left_out_and_said(tmp_path: Path) -> None:
    files = (
        below("train", many("a b", 4))
        | below("extra", many("c d", 1))
        | {"test/1.png": plain(1), "train/stray.png": plain(2)}
    )
    warnings: list[str] = []

    dataset = load_dataset(
        "folder", LoadOptions(data_dir=write_tree(tmp_path, files), image=SPEC, warn=warnings.append)
    )

    assert dataset.labels == ("a", "b")
    assert dataset.test is not None
    assert warnings == [
        f"{tmp_path}: left out what is in extra, test, beside train",
        f"{tmp_path}: left out 1 image outside of the class folders: train/stray.png",
    ]


@pytest.mark.parametrize(
    ("files", "outside"),
    [
        (below("deep", many("a b", 4)) | {"stray.png": plain(1)}, "1 image outside of the class folders: stray.png"),
        (
            below("deep/train", many("a b", 4)) | {"x.png": plain(1), "y.png": plain(2)},
            "2 images outside of the class folders: x.png, y.png",
        ),
        (
            below("set/train/all", many("a b", 4)) | below("set/test", many("a b", 4)) | {"x.png": plain(1)},
            "1 image outside of the class folders: x.png",
        ),
    ],
)
def test_an_image_beside_a_leading_folder_is_left_out_and_said_once(
    tmp_path: Path, files: dict[str, bytes], outside: str
) -> None:
    warnings: list[str] = []

    dataset = load_dataset(
        "folder", LoadOptions(data_dir=write_tree(tmp_path, files), image=SPEC, warn=warnings.append)
    )

    assert dataset.labels == ("a", "b")
    assert warnings == [f"{tmp_path}: left out {outside}"]


def test_a_path_that_no_record_could_name_is_refused(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / os.fsdecode(b"caf\xe9"), many("a b", 2))

    with pytest.raises(UsageError) as caught:
        load(folder)

    assert str(caught.value) == f"--data: expected a path in UTF-8, received {tmp_path}/caf\\udce9"


def test_classes_may_share_the_name_of_one_folder_and_a_few_may_look_alike(tmp_path: Path) -> None:
    one = {f"{name}/images/{position}.png": plain(position) for name in "ab" for position in range(4)}
    few = below("c", many("in out", 2)) | below("d", many("in out", 2))

    assert load(write_tree(tmp_path, one | few)).labels == ("a", "b", "c", "d")
