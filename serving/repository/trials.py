"""The first load of a version in a gateway is a trial: it may end the worker's process, and must end no second one.

A model that crashes its runtime, or takes more memory than there is, ends the process that loads it, with all requests
that it holds. The worker is started again and finds the version still there; the others find it at the same time. So
one of them tries, and the others wait for the outcome. Each version, as its files are now, has a file in a folder that
the workers share: empty before its trial, two bytes while and one after it. The lock (flock) on it is the kernel's to
give back, however the process ends: who gets it and finds two bytes knows how the trial ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from serving.errors import BundleError
from serving.repository.source import Origin, RemoteOrigin

if TYPE_CHECKING:  # the supervisor, which loads nothing, looks at trials too
    from serving.model_config import ModelConfig
    from serving.repository.loader import Loaded

log = logging.getLogger("atelier.repository")

_FOLDER = "trials"
_BEGUN, _ENDED = 2, 1  # bytes


class Trials:
    """Loads versions by `load`, a thread for each; `shared` is the folder that all workers of the gateway share."""

    def __init__(self, shared: Path, load: Callable[[Origin, ModelConfig], Loaded]) -> None:
        self._folder = shared / _FOLDER
        self._folder.mkdir(exist_ok=True)
        self._load = load

    def __call__(self, origin: Origin, config: ModelConfig) -> Loaded:
        """As `load`; a version that another process is trying is waited for.

        Raises:
            BundleError: as `load`, or a worker's process has ended while it loaded the version as it is now.
        """
        with contextlib.ExitStack() as stack:
            if not isinstance(origin, RemoteOrigin) and self._begin(stack, origin, config):
                return self._load(origin, config)
        return self._load(origin, config)

    def _begin(self, stack: contextlib.ExitStack, origin: Origin, config: ModelConfig) -> bool:
        """Whether this is the version's trial, which ends with the stack.

        A disk that is full keeps no version from being loaded: it is then without a trial.
        """
        what = repr((origin, origin.fingerprint(), config.backend, config.precision))
        name = hashlib.sha256(what.encode(errors="surrogateescape")).hexdigest()
        try:
            record = stack.enter_context((self._folder / name).open("ab", buffering=0))
            fcntl.flock(record, fcntl.LOCK_EX)
            tried = record.seek(0, os.SEEK_END)
            if not tried:
                record.write(b"." * _BEGUN)
                stack.callback(record.truncate, _ENDED)  # which needs no room
        except OSError as error:
            log.warning("a version is loaded without a trial: %s", error.strerror)
            return False
        if tried == _BEGUN:
            raise BundleError(
                "a worker's process ended while it loaded this version, which is tried again when its files change"
            )
        return not tried


def fatal_trials(shared: Path) -> int:
    """How many versions have ended a process; those that are being tried now do not count."""
    return sum(_was_fatal(path) for path in (shared / _FOLDER).glob("*"))


def _was_fatal(path: Path) -> bool:
    with path.open("rb") as record:
        try:
            fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return record.seek(0, os.SEEK_END) == _BEGUN
