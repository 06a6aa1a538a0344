"""Where a repository or a version is: a folder of this machine, or an address in a store such as s3://bucket/models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from export.errors import ExportError, WrongUseError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""What to install for a scheme; fsspec's own message names the package for others."""


def parse_location(address: str | Path) -> Path:
    """The path that a person wrote; for an address of a store an `upath.UPath`, which answers like a Path.

    Credentials and endpoints come from the environment that the store's own library reads.

    Raises:
        WrongUseError: nothing that is installed knows the scheme, or the address names no bucket.
    """
    if isinstance(address, Path) or "://" not in address:
        return Path(address)
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(parts.path)
    if not parts.netloc:
        raise WrongUseError(f"{address} names no bucket: expected an address such as {parts.scheme}://bucket/models")
    try:
        from upath import UPath

        # A listing that is remembered would hide what other publishers do meanwhile.
        location = UPath(address, use_listings_cache=False)
        location.fs  # noqa: B018 - now, not at the first access, a missing package shows
    except ImportError as error:
        extra = EXTRAS.get(parts.scheme)
        advice = str(error) if extra is None else f'pip install ".[{extra}]" in a checkout of Atelier'
        raise WrongUseError(f"{parts.scheme}:// addresses cannot be used yet: {advice}") from error
    except ValueError as error:
        raise WrongUseError(f"{address}: no store is known for {parts.scheme}:// ({error})") from error
    return cast("Path", location)


def is_remote(location: Path) -> bool:
    """Whether it is an address in a store."""
    return not isinstance(location, Path)


FOREIGN_PACKAGES = frozenset(
    {"aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "requests", "s3fs"}
)
"""Whose exceptions a store's refusal may be; each has a tree of its own, and none need be installed."""


@contextmanager
def store_sentences(location: Path) -> Iterator[None]:
    """Around all work with a location: what a store's library raises becomes a sentence that names the address.

    Raises:
        ExportError: the store refuses, cannot be reached, or has no such bucket.
    """
    try:
        yield
    except Exception as error:
        foreign = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in FOREIGN_PACKAGES
        if not is_remote(location) or not foreign:
            raise
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ExportError(f"{location} cannot be used: {reason}") from error
