"""Reading from an object store, such as S3: a thin layer over fsspec, with names relative to one address.

Everything here relies on what S3, Google Cloud Storage and their like promise: an object appears and is replaced as a
whole, and every later listing or reading sees it. Credentials and endpoints come from the environment that the store's
own library reads. Everything blocks, so it belongs into threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from serving.bundle_files import MANIFEST
from serving.errors import UnreachableError
from serving.repository.source import Fingerprint

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""What to install for a scheme; fsspec's own message names the package for others."""
_S3: dict[str, Any] = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}}
_OPTIONS = {"s3": _S3, "s3a": _S3}
"""The libraries' own patience lasts for minutes; here, the next look is another try."""


_TAGS = ("ETag", "etag", "md5Hash", "LastModified", "created", "mtime")
"""What the stores call it in fsspec, best first."""


class Entry(NamedTuple):
    """What a listing says of one object, or of a prefix that others are below of."""

    name: str
    size: int
    tag: str
    """Changes with the content: the store's tag, or the time of the last change."""
    is_prefix: bool


class Store:
    """The objects below an address."""

    def __init__(self, address: str) -> None:
        """Opens no connection yet.

        Raises:
            UnreachableError: nothing that is installed knows the scheme.
        """
        scheme = urlsplit(address).scheme
        try:
            from fsspec.core import url_to_fs

            # A listing that is remembered would hide what publishers do meanwhile.
            self._filesystem, base = url_to_fs(address, use_listings_cache=False, **_OPTIONS.get(scheme, {}))
        except ImportError as error:
            extra = _EXTRAS.get(scheme)
            advice = str(error) if extra is None else f'pip install ".[serving,{extra}]" in a checkout of Atelier'
            raise UnreachableError(f"{scheme}:// addresses cannot be used yet: {advice}") from error
        except ValueError as error:
            raise UnreachableError(f"no store is known for {scheme}:// ({error})") from error
        self._base = str(base).rstrip("/")

    def entries(self) -> list[Entry]:
        """What is directly below the address.

        Raises:
            FileNotFoundError: nothing is.
            UnreachableError: the store cannot be reached, or refuses.
        """
        with _sentences():
            return [_entry(info, str(info["name"]).rstrip("/").rpartition("/")[2]) for info in self._list()]

    def files(self, prefix: str) -> list[Entry]:
        """Every object below the prefix, by its name relative to that; none where nothing is.

        Raises:
            UnreachableError: the store cannot be reached, or refuses.
        """
        base = self._path(prefix)
        with _sentences():
            found = self._filesystem.find(base, detail=True)
        return [_entry(info, str(path).removeprefix(f"{base}/")) for path, info in sorted(found.items())]

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name.

        Raises:
            UnreachableError: the store cannot be reached, or refuses.
        """
        try:
            with _sentences():
                self._filesystem.info(self._path(name))
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes:
        """An object's content.

        Raises:
            FileNotFoundError: there is none of that name.
            UnreachableError: the store cannot be reached, or refuses.
        """
        with _sentences():
            return bytes(self._filesystem.cat_file(self._path(name)))

    def download(self, prefix: str, names: Iterable[str], folder: Path) -> None:
        """Writes objects below the prefix to files of the same names in a folder, several at a time.

        Raises:
            FileNotFoundError: one of them is not there.
            UnreachableError: the store cannot be reached, or the disk refuses.
        """
        chosen = list(names)
        for parent in {(folder / name).parent for name in chosen}:
            parent.mkdir(parents=True, exist_ok=True)
        with _sentences():
            self._filesystem.get(
                [self._path(f"{prefix}/{name}") for name in chosen], [str(folder / name) for name in chosen]
            )

    def _list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._filesystem.ls(self._base, detail=True, refresh=True)
        return [info for info in found if str(info["name"]).rstrip("/") != self._base]  # S3 lists its folders' markers

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"


def is_address(base_path: str) -> bool:
    """Whether it is in a store, and not on a disk of this machine."""
    return "://" in base_path and urlsplit(base_path).scheme != "file"


def is_relative(base_path: str) -> bool:
    """Whether a base path is neither absolute nor an address, as TensorFlow Serving has it."""
    return not urlsplit(base_path).scheme and not base_path.startswith("/")


def local_path(base_path: str) -> Path:
    """The folder that a path or a file:// address names."""
    return Path(urlsplit(base_path).path if base_path.startswith("file://") else base_path)


def fingerprint_of(entries: Iterable[Entry]) -> Fingerprint:
    """What a version's objects look like."""
    files = tuple((entry.name, entry.size, entry.tag) for entry in entries)
    return Fingerprint(files, is_whole=any(name == MANIFEST for name, _, _ in files))


def _entry(info: dict[str, Any], name: str) -> Entry:
    tag = next((str(info[key]) for key in _TAGS if key in info), "")
    return Entry(name, int(info.get("size") or 0), tag, info.get("type") == "directory")


@contextmanager
def _sentences() -> Iterator[None]:
    """Each store's library has a tree of exceptions of its own; here they are one, with a sentence.

    Raises:
        FileNotFoundError: there is no such object.
        UnreachableError: any other reason.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreachableError(f"the store cannot be used: {reason}") from error
