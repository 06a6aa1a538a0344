"""Removing a version: for every reader it is gone in one moment, and a removal that was cut off is finished later.

On a disk it is renamed to .removed-N-XXXX first, which servers do not look at. A store has no rename: an object
.removed-N tells the next one to go on, then the manifest goes, then saved_model.pb, so that the version is complete,
and then loadable, no more before anything that it consists of is missing.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from export.staging import sync
from export.store import Store
from serving.bundle_files import MANIFEST, SAVED_MODEL

REMOVED_PREFIX = ".removed-"


class InUseError(Exception):
    """A process of this machine holds the version."""


class CannotTellError(Exception):
    """The file system cannot lock folders, so that nobody knows who holds the version."""


def lock_version(version_dir: Path) -> int:
    """A descriptor that keeps gateways from loading the version, to be closed; see serving/repository/lease.py.

    Raises:
        InUseError: one has loaded it.
        CannotTellError: the file system has no such locks.
        FileNotFoundError: there is no such version.
    """
    descriptor = os.open(version_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise InUseError from error
        raise CannotTellError from error
    return descriptor


def remove_folder(version_dir: Path) -> None:
    """Removes a version of this machine; the caller has locked it where that can be done."""
    removed = version_dir.with_name(f"{REMOVED_PREFIX}{version_dir.name}-{secrets.token_hex(4)}")
    version_dir.rename(removed)
    sync(version_dir.parent)
    with suppress(FileNotFoundError):  # another process has taken the removal for one that was cut off, and finishes it
        if removed.is_symlink():
            removed.unlink()
        else:
            shutil.rmtree(removed)


def finish_removals(model_dir: Path) -> None:
    """Deletes what is left of versions whose remover died."""
    for folder in model_dir.glob(f"{REMOVED_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_objects(store: Store, version: int) -> None:
    """Removes a version of a store."""
    note = f"{REMOVED_PREFIX}{version}"
    store.write(note, b"")
    for name in (f"{version}/{MANIFEST}", f"{version}/{SAVED_MODEL}", str(version), note):
        store.remove(name)


def finish_removals_in(store: Store) -> None:
    """Removes what is left of versions whose remover died."""
    for name in store.children():
        number = name.removeprefix(REMOVED_PREFIX)
        if number != name and number.isdigit():
            remove_objects(store, int(number))
