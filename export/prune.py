"""Removing old versions of a model, never one that somebody needs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.errors import ExportError, WrongUseError
from export.location import is_remote, store_sentences
from export.protection import Reasons, needed_versions
from export.removal import CannotTellError, InUseError, finish_removals, lock_version, remove_folder, remove_objects
from export.staging import remove_abandoned
from export.store import Store
from export.store_publishing import recover
from export.versions import published_versions

OPEN_HERE = "open in a gateway on this machine"


@dataclass(frozen=True)
class Pruning:
    """What becomes of a model's versions: those to keep with the reasons, and those to remove, both ascending."""

    model_dir: Path
    keep: Reasons
    remove: tuple[int, ...]


def plan(model_dir: Path, versions: Collection[int], keep_newest: int, needed: Reasons) -> Pruning:
    """Keeps the newest versions and those that are needed; a pure function."""
    newest = sorted(versions)[-keep_newest:]
    keep = {
        version: (*(["among the newest"] if version in newest else []), *needed.get(version, ()))
        for version in sorted(versions)
        if version in newest or needed.get(version)
    }
    return Pruning(model_dir, keep, tuple(sorted(set(versions) - keep.keys())))


def prune(
    model_dir: Path,
    keep_newest: int,
    *,
    served: Reasons | None = None,
    model_config_files: Collection[Path] = (),
    dry_run: bool = False,
) -> Pruning:
    """Removes all versions but the newest and those that a label, a configuration or a server needs.

    Also finishes what publishers and removers have left that died, unless `dry_run`.

    Args:
        model_dir: the model's folder, or its address in a store.
        keep_newest: how many of the newest versions stay; at least 1.
        served: what servers that were asked say they hold; None where none was asked. Then the gateways of this
            machine still show by their locks.
        model_config_files: see `needed_versions`.
        dry_run: only says what would be removed.

    Returns:
        What was removed, or would be.

    Raises:
        WrongUseError: there is no version, or nobody was asked and nothing else can tell who serves what.
        ExportError: a configuration cannot be understood, or the store or the disk refuses.
        BundleError: the file of labels holds something else.
    """
    with store_sentences(model_dir):
        if not dry_run:
            _clean_up(model_dir)
        versions = [number for number in published_versions(model_dir) if (model_dir / str(number)).is_dir()]
        if not versions:
            raise WrongUseError(f"{model_dir} is no model's folder: there is no version in it")
        needed = needed_versions(model_dir, versions, model_config_files)
        pruning = plan(model_dir, versions, keep_newest, _merged(needed, served or {}))
        if is_remote(model_dir):
            if served is None and pruning.remove:
                raise _nobody_was_asked(model_dir)
            if not dry_run:
                for version in pruning.remove:
                    remove_objects(Store(model_dir), version)
            return pruning
        try:
            return _prune_here(pruning, asked=served is not None, dry_run=dry_run)
        except OSError as error:
            raise ExportError(f"{error.filename or model_dir} cannot be removed: {error.strerror or error}") from error


def _clean_up(model_dir: Path) -> None:
    if is_remote(model_dir):
        recover(Store(model_dir))
    else:
        remove_abandoned(model_dir)
        finish_removals(model_dir)


def _prune_here(pruning: Pruning, *, asked: bool, dry_run: bool) -> Pruning:
    """Removes what no gateway of this machine has loaded, also not since the plan was made."""
    held: dict[int, tuple[str, ...]] = {}
    for version in pruning.remove:
        version_dir = pruning.model_dir / str(version)
        try:
            with _locked(version_dir, asked=asked):
                if not dry_run:
                    remove_folder(version_dir)
        except InUseError:
            held[version] = (OPEN_HERE,)
    kept = dict(sorted({**pruning.keep, **held}.items()))
    return Pruning(pruning.model_dir, kept, tuple(version for version in pruning.remove if version not in held))


@contextmanager
def _locked(version_dir: Path, *, asked: bool) -> Iterator[None]:
    try:
        lock = lock_version(version_dir)
    except CannotTellError as error:
        if not asked:
            raise _nobody_was_asked(version_dir.parent) from error
        yield
        return
    try:
        yield
    finally:
        os.close(lock)


def _nobody_was_asked(model_dir: Path) -> WrongUseError:
    return WrongUseError(
        f"who serves versions from {model_dir} cannot be seen from here: name each server with --url, "
        "or say --unserved if there is none"
    )


def _merged(first: Reasons, second: Reasons) -> Mapping[int, tuple[str, ...]]:
    return {version: (*first.get(version, ()), *second.get(version, ())) for version in {*first, *second}}
