"""Publishing: a version appears in the repository whole, or not at all.

On a disk, by one rename (here); in a store, which has none, as store_publishing.py says.

models/NAME/.publishing-XXXX/    the version being written, see staging.py
models/NAME/.last-version        the highest number ever given: numbers are not reused

Servers look at integer names only. What a publisher that died has left, even by SIGKILL, the next one removes.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from export.location import is_remote, store_sentences
from export.removal import finish_removals
from export.staging import staging_folder, sync, sync_tree, verified_manifest
from export.store_publishing import is_claimed, stage_in_store
from export.versions import check_name, check_number, is_taken, next_version, published_versions

LAST_VERSION = ".last-version"


class Staging(Protocol):
    """A place to write a version into: `bundle`, an empty folder of this machine."""

    @property
    def bundle(self) -> Path:
        """Where to write the files to."""

    def publish(self, version: int | None = None) -> Path:
        """Makes the bundle durable and then visible, as `version` or the next free number.

        Returns:
            The version's folder, or its address in a store.

        Raises:
            BundleError: a file does not fit the manifest.
            ExportError: there is no manifest, or the store refuses.
            WrongUseError: `version` is taken.
            OSError: the disk refuses.
        """


@contextmanager
def stage(models_dir: Path, name: str) -> Iterator[Staging]:
    """Opens a staging folder for a new version of the model, after cleaning up after dead publishers.

    At the end it is gone, and so are the folders made for it that hold no published version.

    Raises:
        WrongUseError: `name` cannot be a model's name.
        ExportError: the store cannot be used.
        OSError: the folder cannot be written to.
    """
    check_target(models_dir, name, None)
    opened = stage_in_store if is_remote(models_dir) else _stage_here
    with opened(models_dir / name) as staging:
        yield staging


def check_target(models_dir: Path, name: str, version: int | None) -> None:
    """Holds a name, and a version number where one is asked for, to be usable; `publish` has the last word.

    Raises:
        WrongUseError: `name` cannot be a model's name, or the version is taken or no version.
        ExportError: the store cannot be used.
    """
    check_name(name)
    if version is None:
        return
    check_number(version)
    model_dir = models_dir / name
    with store_sentences(models_dir):
        taken = version in published_versions(model_dir) or (is_remote(model_dir) and is_claimed(model_dir, version))
    if taken:
        raise is_taken(version, model_dir)


@contextmanager
def _stage_here(model_dir: Path) -> Iterator[Staging]:
    made = [folder for folder in (model_dir, *model_dir.parents) if not folder.exists()]
    try:
        with staging_folder(model_dir) as bundle:
            finish_removals(model_dir)
            yield _LocalStaging(model_dir, bundle)
    finally:
        for parent in made:
            with suppress(OSError):  # it holds a version now, or another publisher's work
                parent.rmdir()


@dataclass(frozen=True)
class _LocalStaging:
    """A staging folder on the repository's own file system."""

    model_dir: Path
    bundle: Path

    def publish(self, version: int | None = None) -> Path:
        sync_tree(self.bundle)
        verified_manifest(self.bundle)
        with _last_version(self.model_dir) as ledger:
            target = _rename(self.bundle, self.model_dir, ledger, version)
        for folder in (self.model_dir, self.model_dir.parent):  # both may be new
            sync(folder)
        return target


@dataclass
class _Ledger:
    """The content of `.last-version`, locked against other publishers."""

    file: int
    last: int

    def note(self, version: int) -> None:
        """Records, durably and before it is used, that the number has been given."""
        if version <= self.last:
            return
        os.pwrite(self.file, f"{version}\n".encode(), 0)
        os.fsync(self.file)
        self.last = version


@contextmanager
def _last_version(model_dir: Path) -> Iterator[_Ledger]:
    file = os.open(model_dir / LAST_VERSION, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        content = os.pread(file, 32, 0).split()
        yield _Ledger(file, int(content[0]) if content and content[0].isdigit() else 0)
    finally:
        os.close(file)


def _rename(bundle: Path, model_dir: Path, ledger: _Ledger, version: int | None) -> Path:
    """Gives the bundle its number. Our publishers queue at the ledger; the loop is for strangers."""
    while True:
        taken = published_versions(model_dir)
        # rename() would replace an empty folder without a word, so that being free is checked first.
        number = next_version(taken, ledger.last) if version is None else version
        check_target(model_dir.parent, model_dir.name, number)
        ledger.note(number)
        target = model_dir / str(number)
        try:
            bundle.rename(target)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
            if version is not None:
                raise is_taken(number, model_dir) from error
        else:
            return target
