"""Image files in a tar file, plain or compressed, read without unpacking it to disk."""

from __future__ import annotations

import contextlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from training.datasets.image_files import Listing, Parts, list_of
from training.errors import DatasetError

_DAMAGED = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, KeyError)
"""What Python's readers raise on damaged files; the last two for links and extended headers."""
TAR_ENDINGS = frozenset({".tar", ".tgz", ".tbz2", ".txz"})
DRAIN_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class TarFiles:
    """The files of a tar file; nothing is written anywhere, so that their names are nothing but names."""

    path: Path

    @property
    def name(self) -> str:
        """The tar file's path."""
        return str(self.path)

    def listing(self) -> Listing:
        """Reads all headers, and a compressed file to its end, whose checksum is then known to fit.

        Raises:
            DatasetError: it is no tar file, cannot be read, is damaged, or ends too early.
        """
        offsets, folders = self._index
        return list_of(files=offsets, folders=folders)

    def contents(self, wanted: Sequence[Parts]) -> Iterator[tuple[Parts, Callable[[], bytes]]]:
        """The files in the tar's own order; of several with one path the last, which is what unpacking would leave."""
        offsets, _ = self._index
        left = set(wanted)
        with self._opened() as tar:
            for member in _members(tar):
                parts = _parts(member)
                if parts in left and member.offset == offsets[parts]:
                    yield parts, _giver(_read(tar, member))

    @cached_property
    def _index(self) -> tuple[dict[Parts, int], frozenset[Parts]]:
        """Where each file's header is, and the folders."""
        offsets, folders = {}, set()
        with self._opened() as tar:
            for member in _members(tar):
                parts = _parts(member)
                if member.isdir():
                    folders.add(parts)
                elif parts:
                    offsets[parts] = member.offset
            _require_end(tar)
        return offsets, frozenset(folders - {()})

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tarfile.TarFile]:
        try:
            with tarfile.open(self.path, "r:*") as tar:
                yield tar
        except _DAMAGED as error:
            reason = " ".join(str(error).split())
            raise DatasetError(f"{self.path} is no tar file, cut short, or damaged: {reason}") from error


def is_tar(path: Path) -> bool:
    """Whether the file is called a tar file or starts like one, plain or compressed; it may still be damaged."""
    if TAR_ENDINGS & {ending.casefold() for ending in path.suffixes}:
        return True
    try:
        tarfile.open(path, "r:*").close()
    except tarfile.ReadError:
        return False
    except _DAMAGED:
        return True
    return True


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The files and folders, hard links among the files, symbolic links and devices not."""
    before = -1
    for member in tar:
        if member.offset <= before or member.size < 0:  # a damaged size would have Python go round in circles
            raise tarfile.ReadError("a header has a negative size")
        before = member.offset
        if member.isfile() or member.islnk() or member.isdir():
            yield member


def _require_end(tar: tarfile.TarFile) -> None:
    """Python takes any damaged header for the end; only a block of zeros is."""
    stream = tar.fileobj
    if stream is None:
        raise tarfile.ReadError("closed")
    stream.seek(tar.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"expected a header or the end at byte {tar.offset:,}")
    while stream.read(DRAIN_BYTES):
        pass


def _parts(member: tarfile.TarInfo) -> Parts:
    return tuple(part for part in member.name.split("/") if part not in {"", "."})


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = tar.extractfile(member)
    return b"" if opened is None else opened.read()


def _giver(data: bytes) -> Callable[[], bytes]:
    return lambda: data
