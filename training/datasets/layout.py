"""What the folders of an image collection mean: splits, and in each of them one folder per class.

`train/cats/1.jpg, validation/cats/7.jpg, …` has splits; `cats/1.jpg, dogs/2.jpg, …` has none. Leading folders that
everything lies in are passed over, and below a class's folder there may be more folders; but folders that all have the
same folders in them are taken for splits with unknown names, and refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from training.datasets.base import some_of
from training.datasets.image_files import ImageFiles, Listing, Parts, shown
from training.errors import DatasetError

SplitFolder = Literal["train", "validation", "test"]

SPLIT_OF_FOLDER = MappingProxyType[str, SplitFolder](
    {
        "train": "train",
        "training": "train",
        "validation": "validation",
        "valid": "validation",
        "val": "validation",
        "dev": "validation",
        "test": "test",
        "testing": "test",
        "eval": "test",
    }
)
"""The folder names that splits go by, in any case of letters."""
ORDER: tuple[SplitFolder, ...] = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class LabelledFiles:
    """Image files with their classes, sorted by path; `targets` are int64 `[N]`, indices into `labels`.

    `class_folder` is the number of leading path parts down to where the class folders lie; `whole` says whether these
    are all images of their classes, not only some chosen ones.
    """

    files: ImageFiles
    labels: tuple[str, ...]
    paths: tuple[Parts, ...]
    targets: np.ndarray
    class_folder: int
    whole: bool = True

    def __len__(self) -> int:
        return len(self.paths)

    def names(self) -> list[str]:
        """The paths from the class's folder on, as `cats/1.jpg`."""
        return ["/".join(path[self.class_folder :]) for path in self.paths]

    def only(self, chosen: np.ndarray) -> LabelledFiles:
        """Those for which `chosen`, bool `[N]`, is true."""
        paths = tuple(self.paths[position] for position in np.flatnonzero(chosen))
        return LabelledFiles(self.files, self.labels, paths, self.targets[chosen], self.class_folder, whole=False)


def read_splits(files: ImageFiles, warn: Callable[[str], None]) -> dict[SplitFolder, LabelledFiles]:
    """Finds the splits of a collection, or all of it as `train` where it has none.

    A collection has splits when it has a folder `train` (or `training`) with folders in it; one with images of its own,
    and no other split beside it, is a class that happens to be called so. Other splits without class folders, folders
    beside the splits, and images outside of the class folders are left out, and `warn` is told so.

    Raises:
        DatasetError: there are no images, a split has fewer than two classes or an empty one, two folders are the same
            split, the splits have different classes, or the classes look like splits with other names.
    """
    listing = _list(files, warn)
    root = _below_leading_folders(listing, ())
    folders = _split_folders(files, listing, root)
    if not folders:
        _refuse_unknown_splits(files, listing, root)
        return {"train": read_classes(files, warn, listing=listing)}
    beside = {shown(child) for child in listing.folders_in(root)} - {shown(folder) for folder in folders.values()}
    if beside:
        warn(f"{files.name}: left out what is in {some_of(sorted(beside))}, beside {', '.join(sorted(folders))}")
    _warn_of_images_outside(files, [path for path in listing.images if path[:-1] in _above(root)], warn)
    splits = {
        split: read_classes(files, warn, listing=listing, folder=folder)
        for split, folder in sorted(folders.items(), key=lambda item: ORDER.index(item[0]))
    }
    require_same_classes(files.name, splits)
    return splits


def read_classes(
    files: ImageFiles, warn: Callable[[str], None], *, listing: Listing | None = None, folder: Parts = ()
) -> LabelledFiles:
    """Takes the folders directly below `folder`, or below its leading folders, for the classes, ordered by name.

    Images outside of the class folders are left out, and `warn` is told so.

    Raises:
        DatasetError: there are no images, fewer than two classes, or an empty one.
    """
    listing = _list(files, warn) if listing is None else listing
    root = _below_leading_folders(listing, folder)
    where = "/".join([files.name, shown(root)] if root else [files.name])
    depth = len(root)
    below = [path for path in listing.images if path[:depth] == root]
    inside = [path for path in below if len(path) > depth + 1]
    if not below:
        raise DatasetError(f"{where} has no images: expected one folder with images for each class")
    classes = [folder[-1] for folder in listing.folders_in(root)]
    if len(classes) < 2:
        found = _only(listing, (*root, classes[0])) if classes else f"{len(below):,} images and no folders"
        raise DatasetError(f"{where} has fewer than two classes: expected a folder for each class, found {found}")
    index_of = {name: index for index, name in enumerate(classes)}
    targets = np.array([index_of[path[depth]] for path in inside], dtype=np.int64)
    counts = np.bincount(targets, minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if empty:
        raise DatasetError(
            f"{where} has no images of {some_of([shown((name,)) for name in empty])}: the folder is empty"
        )
    passed_over = _above(root)[len(folder) :]
    _warn_of_images_outside(files, [path for path in listing.images if path[:-1] in passed_over], warn)
    return LabelledFiles(files, tuple(shown((name,)) for name in classes), tuple(inside), targets, depth)


def require_same_classes(name: str, splits: dict[SplitFolder, LabelledFiles]) -> None:
    """Compares every split's classes with those of `train`.

    Raises:
        DatasetError: they differ; the message names the classes that only one of the two has.
    """
    expected = splits["train"].labels
    for split, labelled in splits.items():
        missing = [label for label in expected if label not in labelled.labels]
        unknown = [label for label in labelled.labels if label not in expected]
        if missing or unknown:
            differences = [f"only train has {some_of(missing)}"] * bool(missing)
            differences += [f"only {split} has {some_of(unknown)}"] * bool(unknown)
            raise DatasetError(f"{name}: train and {split} have different classes: {'; '.join(differences)}")


def _list(files: ImageFiles, warn: Callable[[str], None]) -> Listing:
    listing = files.listing()
    if others := listing.others:
        count = "1 file" if len(others) == 1 else f"{len(others):,} files"
        names = some_of(list(map(shown, others)))
        warn(f"{files.name}: left out {count} whose names do not end like an image's: {names}")
    return listing


def _only(listing: Listing, folder: Parts) -> str:
    """What is said of the one class folder that there is."""
    children = [shown(child[-1:]) for child in listing.folders_in(folder)]
    beside = f", which has images beside its folders {some_of(children)}" if children else ""
    return f"only {shown(folder[-1:])}{beside}"


def _above(folder: Parts) -> list[Parts]:
    """The folder itself and all that it lies in, from the top."""
    return [folder[:depth] for depth in range(len(folder) + 1)]


def _warn_of_images_outside(files: ImageFiles, outside: Sequence[Parts], warn: Callable[[str], None]) -> None:
    if outside:
        images = "1 image" if len(outside) == 1 else f"{len(outside):,} images"
        warn(f"{files.name}: left out {images} outside of the class folders: {some_of(list(map(shown, outside)))}")


def _below_leading_folders(listing: Listing, folder: Parts) -> Parts:
    """Down to where folders branch, or to where a single folder has images itself and so is a class."""
    while len(children := listing.folders_in(folder)) == 1:
        if listing.has_images_in(children[0]) or not listing.folders_in(children[0]):
            break
        folder = children[0]
    return folder


def _refuse_unknown_splits(files: ImageFiles, listing: Listing, root: Parts) -> None:
    """A collection that is not known to have splits must not look as if it had: most classes with the same folders."""
    classes = listing.folders_in(root)
    with_the_same = defaultdict[tuple[str, ...], list[str]](list)
    for folder in classes:
        inner = _below_leading_folders(listing, folder)
        if not listing.has_images_in(inner):
            names = tuple(shown(child[-1:]) for child in listing.folders_in(inner))
            with_the_same[names].append(shown(folder[-1:]))
    for names, alike in with_the_same.items():
        if len(names) > 1 and len(alike) > 1 and 2 * len(alike) > len(classes):
            raise DatasetError(
                f"{files.name}: the folders {some_of(alike)} have the same folders in them, {some_of(names)}: "
                f"expected splits to be called {', '.join(SPLIT_OF_FOLDER)}, or classes without splits in them"
            )


def _split_folders(files: ImageFiles, listing: Listing, root: Parts) -> dict[SplitFolder, Parts]:
    """The folder of each split that has class folders; none where the collection has no splits."""
    found: dict[SplitFolder, Parts] = {}
    named = [folder for folder in listing.folders_in(root) if folder[-1].casefold() in SPLIT_OF_FOLDER]
    for folder in named:
        if not listing.folders_in(folder):
            continue
        split = SPLIT_OF_FOLDER[folder[-1].casefold()]
        if split in found:
            raise DatasetError(f"{files.name} has two folders for {split}: {found[split][-1]} and {folder[-1]}")
        found[split] = folder
    if "train" in found:
        return {} if len(named) == 1 and listing.has_images_in(found["train"]) else found
    if len(named) > 1 and len(named) == len(listing.folders_in(root)):
        raise DatasetError(
            f"{files.name} has {some_of([folder[-1] for folder in named])}, but no train with classes in it"
        )
    return {}
