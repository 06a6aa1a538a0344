"""Image files in a folder or in a tar file, by their paths.

A file is taken for an image when its name ends like one or has no ending; what it really is, its content decides.
Files of other endings (tables, archives) are none, and said to be left out. `README` and the like are passed over
without a word, and so is anything hidden: names that start with a dot, and what Windows and macOS leave behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from training.errors import DatasetError

IMAGE_ENDINGS = frozenset(
    {"", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpf", ".jpx", ".avif"}
    | {".heic", ".heif", ".tga"}
)
"""The last three are of images that cannot be decoded: better said to be so one by one than for their endings."""
LEFT_BEHIND = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"})
NOTES = frozenset({"readme", "license", "licence", "copying", "notice", "authors", "changelog", "makefile"})

Parts = tuple[str, ...]
"""A path within the collection: the names of its folders and its own."""


@dataclass(frozen=True)
class Listing:
    """What a collection holds: image files and those with other endings, sorted by path, and every folder."""

    images: tuple[Parts, ...]
    folders: frozenset[Parts]
    others: tuple[Parts, ...] = ()

    def folders_in(self, folder: Parts) -> Sequence[Parts]:
        """The folders directly in that one, sorted."""
        return self._folders_by_parent.get(folder, ())

    def has_images_in(self, folder: Parts) -> bool:
        """Whether an image lies directly in the folder."""
        return folder in self._folders_of_images

    @cached_property
    def _folders_by_parent(self) -> Mapping[Parts, Sequence[Parts]]:
        by_parent = defaultdict[Parts, list[Parts]](list)
        for folder in sorted(self.folders - {()}):
            by_parent[folder[:-1]].append(folder)
        return dict(by_parent)

    @cached_property
    def _folders_of_images(self) -> frozenset[Parts]:
        return frozenset(path[:-1] for path in self.images)


class ImageFiles(Protocol):
    """A collection of image files that can be gone through more than once."""

    @property
    def name(self) -> str:
        """Where it is, for messages."""

    def listing(self) -> Listing:
        """Looks through all names; nothing hidden is listed.

        Raises:
            DatasetError: it cannot be read, or is damaged.
        """

    def contents(self, wanted: Sequence[Parts]) -> Iterator[tuple[Parts, Callable[[], bytes]]]:
        """Each wanted file once, in whatever order is read fastest, with what gives its bytes, from any thread.

        Raises:
            DatasetError: the collection cannot be read, or is damaged.
        """


@dataclass(frozen=True)
class FolderFiles:
    """The files under a folder. Symbolic links are followed, but not back into a folder that they lie in."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def listing(self) -> Listing:
        """Walks through the folder; files that are no plain files, such as pipes, are not listed."""
        try:
            found = list(_walk(self.folder, frozenset()))
        except OSError as error:
            raise DatasetError(f"{self.folder} cannot be read: {error}") from error
        relative = [(path.relative_to(self.folder).parts, is_folder) for path, is_folder in found]
        return list_of(
            files=(parts for parts, is_folder in relative if not is_folder),
            folders=(parts for parts, is_folder in relative if is_folder),
        )

    def contents(self, wanted: Sequence[Parts]) -> Iterator[tuple[Parts, Callable[[], bytes]]]:
        """The files as wanted; reading one raises OSError where it has become unreadable."""
        return ((parts, self.folder.joinpath(*parts).read_bytes) for parts in wanted)


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[Path, bool]]:
    """Every path under the folder, with whether it is a folder; `above` are the inodes of the folders it lies in."""
    status = folder.stat()
    inode = (status.st_dev, status.st_ino)
    if inode in above:
        return
    for path in folder.iterdir():
        if path.is_dir():
            yield path, True
            if not is_hidden(path.name):
                yield from _walk(path, above | {inode})
        elif path.is_file() or not path.exists():  # a broken link is an image that cannot be read
            yield path, False


def list_of(files: Iterable[Parts], folders: Iterable[Parts]) -> Listing:
    """The listing of these files and folders, and of the folders that the images lie in."""
    seen, others = set[Parts](), set[Parts]()
    for parts in files:
        if not _any_hidden(parts) and not is_note(parts[-1]):
            (seen if has_image_ending(parts[-1]) else others).add(parts)
    explicit = {parts for parts in folders if not _any_hidden(parts)}
    implied = {parts[:depth] for parts in seen for depth in range(1, len(parts))}
    return Listing(tuple(sorted(seen)), frozenset(explicit | implied), tuple(sorted(others)))


def _any_hidden(parts: Parts) -> bool:
    return any(map(is_hidden, parts))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is there for the system rather than for the person."""
    return (name.startswith(".") and name != "..") or name.casefold() in LEFT_BEHIND


def is_note(name: str) -> bool:
    """Whether a file of that name is there for the person, in whatever format, unless it ends like an image."""
    path = PurePosixPath(name.casefold())
    return path.stem in NOTES and (path.suffix == "" or path.suffix not in IMAGE_ENDINGS)


def has_image_ending(name: str) -> bool:
    """Whether a file of that name is worth a try."""
    return PurePosixPath(name).suffix.casefold() in IMAGE_ENDINGS


def shown(parts: Parts) -> str:
    """The path for a person, all in printable characters: a name on disk may have line breaks or be no text at all."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in "/".join(parts)
    )
