"""A file of settings that is read again when it changes, and whose last good content counts while it is broken."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from serving.errors import InvalidInputError

T = TypeVar("T")


class WatchedFile(Generic[T]):
    """`parse` makes something of its text and the folder it lies in, and raises InvalidInputError for what it refuses.

    `absent` is what a file means that is not there; without it, one has to be there. In `last_good`, a file, the last
    good text is kept for processes that start while the file is broken.
    """

    def __init__(
        self, path: Path, parse: Callable[[str, Path], T], *, last_good: Path | None = None, absent: T | None = None
    ) -> None:
        self.path = path
        self.problem: str | None = None
        """What is wrong with the file as it is now, in a sentence; `content` is what it was before."""
        self.content: T | None = absent
        self.digest = ""
        """Which text `content` was made of; empty where the file was not there."""
        self._parse = parse
        self._last_good = last_good
        self._absent = absent
        self._seen: bytes | None = None

    def read(self) -> T | None:
        """Looks at the file; gives its content, or the last that was good; None while there was none."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            if self._absent is None:
                self.problem = f"{self.path.name} is not there"
            else:
                self.content, self.digest, self.problem = self._absent, "", None
            self._seen = None
            return self.content
        except OSError as error:
            self.problem = f"{self.path.name} cannot be read: {error.strerror or type(error).__name__}"
            return self.content
        if data != self._seen:
            self._take(data)
        return self.content

    def _take(self, data: bytes) -> None:
        self._seen = data
        try:
            self._accept(data)
        except InvalidInputError as error:
            self.problem = f"{self.path.name}: {error}"
            if self.content is None and self._last_good is not None:
                with contextlib.suppress(FileNotFoundError):
                    self._accept(self._last_good.read_bytes())
        else:
            self.problem = None
            if self._last_good is not None:
                write_whole(self._last_good, data)

    def _accept(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError("expected UTF-8 text, received other bytes") from error
        self.content, self.digest = self._parse(text, self.path.parent), hashlib.sha256(data).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Replaces a file in one moment, so that nobody reads half of it.

    Raises:
        OSError: the folder cannot be written to.
    """
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(written).replace(path)
    except BaseException:
        Path(written).unlink(missing_ok=True)
        raise
