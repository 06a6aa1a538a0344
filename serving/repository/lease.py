"""Says to others on this machine that a version is in use, for as long as this process holds it.

A shared lock (flock) on the version's folder. `atelier prune` takes the lock for itself before it removes a version,
and leaves alone what it cannot lock. The lock ends with the process, however that ends, and needs no right to write.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from serving.errors import BundleError


class Lease:
    """A version's folder, locked against removal until closed."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, version_dir: Path) -> Self:
        """Locks the folder; on a file system that cannot lock folders the lease protects nothing.

        Raises:
            BundleError: the version is being removed.
            FileNotFoundError: it has been removed.
        """
        descriptor = os.open(version_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise BundleError("the version is being removed") from error
        except OSError:
            os.close(descriptor)
            return cls(None)
        return cls(descriptor)

    def close(self) -> None:
        """Lets the folder go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
