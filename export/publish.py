"""Publishing: a version appears in the repository whole, by one rename, or not at all.

models/NAME/.publishing-XXXX/owner.lock    locked (flock) for as long as its publisher lives
models/NAME/.publishing-XXXX/bundle/       the version being written
models/NAME/.last-version                  the highest number ever given: numbers are not reused

Servers look at integer names only. A publisher that died, even by SIGKILL, leaves a folder whose lock
nobody holds; the next one removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from export.errors import ExportError, WrongUseError
from serving.bundle import MANIFEST, read_manifest, verify_files

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
STAGING_PREFIX = ".publishing-"
OWNER = "owner.lock"
BUNDLE = "bundle"
LAST_VERSION = ".last-version"
MAX_VERSION = 2**63 - 1
"""TensorFlow Serving's versions are int64."""


@dataclass(frozen=True)
class Staging:
    """A place to write a version into: `bundle`, an empty folder on the repository's file system."""

    model_dir: Path
    bundle: Path

    def publish(self, version: int | None = None) -> Path:
        """Makes the bundle durable and then visible, as `version` or the next free number.

        Returns:
            The version's folder.

        Raises:
            BundleError: a file does not fit the manifest.
            ExportError: there is no manifest.
            WrongUseError: `version` is taken.
            OSError: the disk refuses.
        """
        manifest = read_manifest(self.bundle)
        if manifest is None:
            raise ExportError(f"there is no {MANIFEST} in the bundle")
        sync_tree(self.bundle)
        verify_files(self.bundle, manifest)
        with _last_version(self.model_dir) as ledger:
            target = _rename(self.bundle, self.model_dir, ledger, version)
        for folder in (self.model_dir, self.model_dir.parent):  # both may be new
            _sync(folder)
        return target


@contextmanager
def stage(models_dir: Path, name: str) -> Iterator[Staging]:
    """Opens a staging folder for a new version of the model, after removing those of dead publishers.

    At the end it is gone, and so are the folders made for it that hold no published version.

    Raises:
        WrongUseError: `name` cannot be a model's name.
        OSError: the folder cannot be written to.
    """
    check_target(models_dir, name, None)
    model_dir = models_dir / name
    made = [folder for folder in (model_dir, *model_dir.parents) if not folder.exists()]
    try:
        with _owned_folder(model_dir) as folder:
            remove_abandoned(model_dir)
            bundle = folder / BUNDLE
            bundle.mkdir()
            yield Staging(model_dir, bundle)
    finally:
        for parent in made:
            with suppress(OSError):  # it holds a version now, or another publisher's work
                parent.rmdir()


def check_target(models_dir: Path, name: str, version: int | None) -> None:
    """Holds a name, and a version number where one is asked for, to be usable; `publish` has the last word.

    Raises:
        WrongUseError: `name` cannot be a model's name, or the version is taken or no version.
    """
    if not is_model_name(name):
        raise WrongUseError(
            f"{name!r} is no name for a model: expected letters, digits, '.', '_' and '-', "
            "starting with a letter or digit"
        )
    if version is None:
        return
    if not 1 <= version <= MAX_VERSION:
        raise WrongUseError(f"{version} is no version: expected 1 to {MAX_VERSION}")
    if version in published_versions(models_dir / name):
        raise _is_taken(version, models_dir / name)


def is_model_name(name: str) -> bool:
    """Whether a model may be called so."""
    return MODEL_NAME.fullmatch(name) is not None


def published_versions(model_dir: Path) -> list[int]:
    """The numbers of the versions in the folder, ascending; entries of other names are none."""
    names = [entry.name for entry in model_dir.iterdir()] if model_dir.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def next_version(taken: Iterable[int], last: int) -> int:
    """The number after every one that is taken and after `last`, the highest ever given."""
    return max((*taken, last, 0)) + 1


def remove_abandoned(model_dir: Path) -> None:
    """Removes the staging folders whose publishers are dead."""
    for folder in model_dir.glob(f"{STAGING_PREFIX}*"):
        with suppress(PermissionError):  # another user's; theirs to remove
            lock = _try_lock(folder / OWNER)
            if lock is not None:
                _remove(folder, lock)


def sync_tree(folder: Path) -> None:
    """Waits until every file and folder below has reached the disk, contents before names."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(parent, name))
        _sync(Path(parent))


@contextmanager
def _owned_folder(model_dir: Path) -> Iterator[Path]:
    while True:
        model_dir.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another publisher gave up and removed the empty model folder
            folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=model_dir))
            lock = _try_lock(folder / OWNER)
            if lock is not None:
                break
            # Between the two lines somebody took the folder for an abandoned one; it is theirs to remove.
    try:
        yield folder
    finally:
        _remove(folder, lock)


def _try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock on the file; None where another one does or the folder is gone."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A lock on a file that has been unlinked meanwhile protects nothing.
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None


def _remove(folder: Path, lock: int) -> None:
    """Removes a staging folder under its lock; the lock file last, so that it guards what is left."""
    try:
        for entry in (folder / BUNDLE, folder):
            shutil.rmtree(entry, ignore_errors=True)
    finally:
        os.close(lock)


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
                raise _is_taken(version, model_dir) from error
        else:
            return target


def _is_taken(version: int | None, model_dir: Path) -> WrongUseError:
    return WrongUseError(f"version {version} of {model_dir.name} exists already in {model_dir}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
