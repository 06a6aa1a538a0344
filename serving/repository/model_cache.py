"""Versions of models in stores, fetched to this machine: whole and checked, or not at all.

CACHE/MODEL-HASH/3/                 the version's files, as in the store
CACHE/MODEL-HASH/3.fetched          which objects they were made of
CACHE/MODEL-HASH/.fetching-XXXX/    a version being fetched
CACHE/MODEL-HASH/.lock              held by the one process that changes something here

Several processes may share it: of those that want the same version, one fetches it and the others wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

from serving.errors import BundleError, UnreachableError
from serving.repository.local_source import is_version_number
from serving.repository.source import Fingerprint
from serving.repository.store import Store, fingerprint_of
from serving.repository.watched_file import write_whole

_FETCHING = ".fetching-"
_GONE = ".gone-"
_RECORD = ".fetched"
_LOCK = ".lock"


class ModelCache:
    """A folder of this machine that holds what is needed of stores."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def at(cls, folder: Path | None) -> Self:
        """One in that folder, or in the user's own cache."""
        if folder is not None:
            return cls(folder)
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 -- it never raises
        if caches.startswith("~"):  # a user without a home, as in containers
            caches = f"{tempfile.gettempdir()}/atelier-{os.getuid()}"
        return cls(Path(caches) / "atelier" / "models")

    def fetch(self, base_path: str, name: str) -> Path:
        """A folder with the files that the version has in the store now. Blocks.

        While the store is out of reach, what was fetched before is good enough.

        Raises:
            UnreachableError: the store or the disk refuses; trying again may help.
            BundleError: the files do not fit the manifest.
        """
        model = self._model(base_path)
        try:
            model.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(model):
                self._bring_up_to_date(base_path, name, model)
        except OSError as error:
            raise UnreachableError(
                f"the version cannot be fetched: {error.strerror or type(error).__name__}"
            ) from error
        return model / name

    def versions(self, base_path: str) -> dict[int, str]:
        """The versions of a model that are here whole, by number."""
        try:
            names = [path.name for path in self._model(base_path).iterdir() if is_version_number(path.name)]
        except OSError:
            return {}
        return {int(name): name for name in names if (self._model(base_path) / f"{name}{_RECORD}").exists()}

    def models(self, root: str) -> list[str]:
        """The models below an address of which something was fetched."""
        with contextlib.suppress(OSError):
            names = [path.name.rpartition("-")[0] for path in sorted(self._folder.iterdir())]
            return [name for name in names if name and self.versions(f"{root.rstrip('/')}/{name}")]
        return []

    def retain(self, base_path: str, versions: Collection[int]) -> None:
        """Removes all other versions of the model, but those that a process holds, and what dead ones have left."""
        model = self._model(base_path)
        with contextlib.suppress(OSError), _locked(model):
            for path in sorted(model.iterdir()):
                if path.name.startswith((_FETCHING, _GONE)):
                    shutil.rmtree(path, ignore_errors=True)
                elif is_version_number(path.name) and int(path.name) not in versions:
                    _remove(path, model)

    def _model(self, base_path: str) -> Path:
        digest = hashlib.sha256(base_path.encode()).hexdigest()[:16]
        return self._folder / f"{base_path.rstrip('/').rpartition('/')[2]}-{digest}"

    def _bring_up_to_date(self, base_path: str, name: str, model: Path) -> None:
        target, record = model / name, model / f"{name}{_RECORD}"
        fetched = _read(record) if _is_good(target) else None
        try:
            store = Store(base_path)
            files = fingerprint_of(store.files(name))
        except UnreachableError:
            if fetched is None:
                raise
            return
        if not files.files:
            raise BundleError("the version is no longer in the store")
        if fetched == _record(files):
            return
        with tempfile.TemporaryDirectory(dir=model, prefix=_FETCHING) as folder:
            fetching = Path(folder, name)
            store.download(name, [file for file, _, _ in files.files], fetching)
            _check(fetching, files)
            record.unlink(missing_ok=True)
            _set_aside(target, model)
            fetching.rename(target)
        write_whole(record, _record(files))


def _check(folder: Path, files: Fingerprint) -> None:
    """Raises: BundleError: what came is not what the store listed, or not what the manifest says."""
    for name, size, _ in files.files:
        received = (folder / name).stat().st_size
        if received != size:
            raise BundleError(f"{name} has {received} bytes, but the store lists {size}")
    _hold_against_manifest(folder)


def _hold_against_manifest(folder: Path) -> None:
    from serving.bundle import read_manifest, verify_files  # brings numpy, which the supervisor's cache never needs

    manifest = read_manifest(folder)
    if manifest is not None:
        verify_files(folder, manifest)


def _is_good(folder: Path) -> bool:
    """Whether a fetched version is still what it was; disks lose things."""
    try:
        _hold_against_manifest(folder)
    except (BundleError, OSError):
        return False
    return folder.is_dir()


def _record(files: Fingerprint) -> bytes:
    return json.dumps(files.files).encode()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _locked(model: Path) -> Iterator[None]:
    descriptor = os.open(model / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _set_aside(version_dir: Path, model: Path) -> None:
    """A process that has it loaded keeps what it has open."""
    if version_dir.exists():
        gone = Path(tempfile.mkdtemp(dir=model, prefix=_GONE))
        version_dir.rename(gone / version_dir.name)
        shutil.rmtree(gone, ignore_errors=True)


def _remove(version_dir: Path, model: Path) -> None:
    """Unless a gateway of this machine holds it (see `Lease`), which removes it when it needs it no more."""
    descriptor = os.open(version_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (model / f"{version_dir.name}{_RECORD}").unlink(missing_ok=True)
        _set_aside(version_dir, model)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)
