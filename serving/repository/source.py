"""Where a model's versions come from, as the manager sees it: it polls a `Source` and knows nothing of places."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from serving.backends.base import RemoteBackend


class Fingerprint(NamedTuple):
    """What a version's files look like: two that are equal are of the same content, as far as one can tell cheaply."""

    files: tuple[tuple[str, int, int | str], ...] = ()
    """Name, size, and what changes with the content: a change time, or a store's tag."""
    is_whole: bool = False
    """Whether something vouches that no file is missing: a manifest with checksums, or the server that has them."""


NOTHING_SEEN = Fingerprint()


class Origin(Protocol):
    """The place of one version; two that are equal are one place. Only the loader knows what is there."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is reached over a network, which may take long: no version of this machine waits for it."""
        ...

    def fingerprint(self) -> Fingerprint:
        """What the version looks like now; what cannot be looked at is left out. Called in a thread."""
        ...


@runtime_checkable
class RemoteOrigin(Origin, Protocol):
    """The place of a version that another server runs."""

    @property
    def version(self) -> int:
        """Its number."""
        ...

    def load(self) -> RemoteBackend:
        """Asks for what has to be known of it. Called in a thread.

        Raises:
            ServingError: it cannot be asked, or has nothing that could be.
        """
        ...


class Found(NamedTuple):
    """What a look at a model's base path has found."""

    origins: Mapping[int, Origin] = MappingProxyType({})
    """Its versions by number."""
    labels: Mapping[str, int] = MappingProxyType({})
    """What `labels.json` beside them says."""
    problem: str | None = None
    """What could not be understood there, in a sentence for the operator."""


class Source(Protocol):
    """One model's base path, looked at again and again."""

    @property
    def is_slow(self) -> bool:
        """Whether a look may take long, as over a network: it then waits for no other, and no other for it."""
        ...

    def look(self) -> Found:
        """What is there now. Called in a thread, never twice at the same time.

        Raises:
            OSError, UnreachableError: the place cannot be looked at, which says nothing about what should be served.
        """
        ...

    def retain(self, versions: Collection[int]) -> None:
        """Only these are needed on this machine from now on. Called in a thread, of a slow source."""
        ...


def is_settled(now: Fingerprint, before: Fingerprint | None) -> bool:
    """Whether a version is no longer being copied: something vouches for that, or the look `before` saw the same."""
    return now.is_whole or now == before
