"""The user's own images: a folder with one sub-folder per class, a tar file of one, IDX or npz, or `tfds:name`."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from training.datasets.base import Dataset, LoadOptions, some_of
from training.datasets.decoding import decode_splits
from training.datasets.holdout import held_out
from training.datasets.idx_folder import find_idx, read_idx_folder
from training.datasets.image_files import FolderFiles, ImageFiles
from training.datasets.layout import LabelledFiles, SplitFolder, read_splits
from training.datasets.npz import read_npz
from training.datasets.tar_files import TarFiles, is_tar
from training.datasets.tfds import PREFIX, read_tfds
from training.errors import DatasetError, UsageError

TEST_FRACTION = 0.15
EXPECTED = (
    "a folder with one sub-folder of images for each class, a tar file of such a folder, a folder of IDX files, "
    "an npz file, or tfds:name"
)


@dataclass(frozen=True)
class Folder:
    """Whatever `data_dir` names, `tfds:name` being a data set of TensorFlow Datasets; it has to be given.

    Images in folders or in a tar file may be of any size and any of `decoding.FOLDER_FORMATS`. They may have splits, as
    `train/`, `validation/` and `test/`, or what else these are often called; with neither a validation nor a test
    split, 15 % of each class become the test split, the same ones in every run.
    """

    name: str = "folder"

    def load(self, options: LoadOptions) -> Dataset:
        """Loads all splits: images uint8 `[N, *options.image.shape]`; the labels are the folders' names, sorted.

        Raises:
            UsageError: `data_dir` is not given, not there, or of none of these kinds; or the recipe is not for images.
            DatasetError: what is there is damaged, has no images, or does not fit together.
        """
        path = options.data_dir
        if path is None:
            raise UsageError(f"--data is missing: data set {self.name} expects {EXPECTED}")
        if str(path).startswith(PREFIX):
            return self._load_with_test(read_tfds(str(path).removeprefix(PREFIX), options.warn), options)
        try:
            path.stat()
        except (OSError, ValueError) as error:
            raise UsageError(f"there is no {path}: expected {EXPECTED}") from error
        if path.is_file() and (path.suffix == ".npz" or (zipfile.is_zipfile(path) and not is_tar(path))):
            return read_npz(self.name, path, options.image)
        if path.is_dir() and (idx_files := find_idx(path)):
            return read_idx_folder(self.name, idx_files, options.image)
        return self._load_with_test(read_splits(files_at(path), options.warn), options)

    def _load_with_test(self, splits: dict[SplitFolder, LabelledFiles], options: LoadOptions) -> Dataset:
        if len(splits) == 1:
            splits = carve("test", TEST_FRACTION, splits["train"])
        dataset = load_images(self.name, splits, source=str(options.data_dir), options=options)
        evaluated, split = dataset.evaluation
        if missing := [label for target, label in enumerate(dataset.labels) if target not in split.targets]:
            options.warn(
                f"the {evaluated} split has no image of {some_of(missing)}, which is trained on, but not tested"
            )
        return dataset


def files_at(path: Path) -> ImageFiles:
    """The collection at this path.

    Raises:
        UsageError: it is neither a folder nor a tar file.
    """
    if path.is_dir():
        return FolderFiles(path)
    if path.is_file() and is_tar(path):
        return TarFiles(path)
    raise UsageError(f"{path} is neither a folder nor a tar file: expected {EXPECTED}")


def carve(split: SplitFolder, fraction: float, everything: LabelledFiles) -> dict[SplitFolder, LabelledFiles]:
    """Holds out a fixed, stratified part of the images as that split; the rest is `train`.

    Raises:
        DatasetError: no class has more than one image.
    """
    chosen = held_out(everything.names(), everything.targets, fraction)
    if not chosen.any():
        raise DatasetError(
            f"{everything.files.name} has one image of each class: expected more, so that some can be kept for {split}"
        )
    return {"train": everything.only(~chosen), split: everything.only(chosen)}


def load_images(name: str, splits: dict[SplitFolder, LabelledFiles], *, source: str, options: LoadOptions) -> Dataset:
    """Decodes the splits into a data set with the labels of `train`.

    Raises:
        UsageError: the recipe is not for images.
        DatasetError: images cannot be decoded, where that is not tolerated, or there is no room for them.
    """
    decoded = decode_splits(splits, options)
    return Dataset(
        name,
        splits["train"].labels,
        decoded["train"],
        decoded.get("test"),
        source=source,
        validation=decoded.get("validation"),
    )


FOLDER = Folder()
