"""Folders that belong to a living process: locked (flock) for as long as it lives, removed by the next after its death.

PARENT/.publishing-XXXX/owner.lock    the lock; removed last, so that it guards what is left
PARENT/.publishing-XXXX/bundle/       the owner's work
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from export.errors import ExportError
from serving.bundle import Manifest, read_manifest, verify_files
from serving.bundle_files import MANIFEST

STAGING_PREFIX = ".publishing-"
OWNER = "owner.lock"
BUNDLE = "bundle"


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """An empty folder of this process' own below `parent`, which is made if need be; gone at the end.

    Those of dead processes are removed first.

    Raises:
        OSError: the folder cannot be written to.
    """
    while True:
        parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another publisher gave up and removed the empty model folder
            folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=parent))
            lock = _try_lock(folder / OWNER)
            if lock is not None:
                break
            # Between the two lines somebody took the folder for an abandoned one; it is theirs to remove.
    try:
        remove_abandoned(parent)
        bundle = folder / BUNDLE
        bundle.mkdir()
        yield bundle
    finally:
        _remove(folder, lock)


def remove_abandoned(parent: Path) -> None:
    """Removes the staging folders whose owners are dead."""
    for folder in parent.glob(f"{STAGING_PREFIX}*"):
        with suppress(PermissionError):  # another user's; theirs to remove
            lock = _try_lock(folder / OWNER)
            if lock is not None:
                _remove(folder, lock)


def verified_manifest(bundle: Path) -> Manifest:
    """The manifest of a bundle that is about to be published, after holding the files against it.

    Raises:
        ExportError: there is none.
        BundleError: it is no manifest, or a file does not fit it.
    """
    manifest = read_manifest(bundle)
    if manifest is None:
        raise ExportError(f"there is no {MANIFEST} in the bundle")
    verify_files(bundle, manifest)
    return manifest


def sync_tree(folder: Path) -> None:
    """Waits until every file and folder below has reached the disk, contents before names."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(parent, name))
        sync(Path(parent))


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
