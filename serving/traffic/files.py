"""A model's labels and traffic on disk, changed by one at a time and replaced as a whole.

`labels.json` and `traffic.json` are what is in force, and `changes.json` the record. The record is written last: a
change that a crash leaves without one is noticed as an edit by the next. Every process that serves the model reads the
files again when they have changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from serving.errors import BundleError, ConflictError
from serving.traffic.ledger import Change, Ledger
from serving.traffic.settings import TrafficSettings
from serving.validation import first_problem
from serving.version_labels import VERSION_LABELS, read_version_labels

TRAFFIC = "traffic.json"
CHANGES = "changes.json"

_LOCK_TIMEOUT_S = 10.0
_LOOK_EVERY_S = 0.02
_TRAFFIC = TypeAdapter(TrafficSettings)
_CHANGES = TypeAdapter(tuple[Change, ...])

Stamp = tuple[tuple[int, int, int, int] | None, ...]
ValueT = TypeVar("ValueT")


def read_traffic(folder: Path) -> TrafficSettings | None:
    """What `traffic.json` says; None where there is none.

    Raises:
        BundleError: the file is there, but holds something else.
    """
    return _read(folder / TRAFFIC, _TRAFFIC)


def read_ledger(folder: Path) -> Ledger:
    """All that the folder's files say.

    Raises:
        BundleError: one of them holds something else.
    """
    return Ledger(read_version_labels(folder), read_traffic(folder), _read(folder / CHANGES, _CHANGES) or ())


def stamp(folder: Path) -> Stamp:
    """What looks different as soon as the labels or the traffic were replaced."""
    return tuple(_stamp(folder / name) for name in (VERSION_LABELS, TRAFFIC))


def change(folder: Path, decide: Callable[[Ledger], Ledger]) -> Ledger:
    """Replaces what is stored by what `decide` makes of it; whoever else wants to waits meanwhile. Blocks.

    Raises:
        ConflictError: as `decide`, or the folder or its disk refuses, or another one has been changing it for 10 s.
        BundleError: a file holds something else, and would be lost.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            before = read_ledger(folder)
            after = decide(before)
            if after.labels != before.labels:
                _replace(folder / VERSION_LABELS, dict(sorted(after.labels.items())))
            if after.traffic != before.traffic:
                _replace(folder / TRAFFIC, _document(after.traffic))
            if after.changes != before.changes:
                _replace(folder / CHANGES, [one.model_dump(mode="json") for one in after.changes])
    except OSError as error:
        raise ConflictError(
            f"labels and traffic cannot be written: {error.strerror or type(error).__name__}; "
            "a gateway with --state-dir keeps them in a folder of its own"
        ) from error
    return after


def _document(traffic: TrafficSettings | None) -> dict[str, Any] | None:
    return None if traffic is None else traffic.model_dump(mode="json", exclude_defaults=True)


def _read(path: Path, shape: TypeAdapter[ValueT]) -> ValueT | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return shape.validate_json(content)
    except ValidationError as error:
        raise BundleError(f"{path.name} is not valid: {first_problem(error)}") from error


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; it ends with the process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_up_at = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(_LOOK_EVERY_S)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, document: Any) -> None:
    """In one moment; None removes the file."""
    if document is None:
        path.unlink(missing_ok=True)
        return
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(written).chmod(0o644)
        Path(written).replace(path)
    except BaseException:
        Path(written).unlink(missing_ok=True)
        raise
