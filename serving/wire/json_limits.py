"""What JSON a request may hold, decided before it is parsed: parsing keeps everybody else waiting.

A list or an object takes as much memory and time as some fifteen numbers, so a body of nothing but empty lists is the
dearest there is. Counting brackets takes about two milliseconds for each MiB; those in strings count too.
"""

from __future__ import annotations

from dataclasses import dataclass

from serving.errors import PayloadTooLargeError


@dataclass(frozen=True, slots=True)
class JsonLimits:
    """Bounds of one body, each a setting of the same name."""

    max_json_bytes: int
    max_json_lists: int
    max_json_objects: int

    def check(self, body: bytes) -> None:
        """Raises:
        PayloadTooLargeError: the body has more bytes, lists or objects.
        """
        size = len(body)
        self.check_size(size)
        if size > self.max_json_objects:
            _check_count(body, b"{", "objects", self.max_json_objects)
            if size > self.max_json_lists:
                _check_count(body, b"[", "lists", self.max_json_lists)

    def check_size(self, size: int) -> None:
        """Raises:
        PayloadTooLargeError: a body of `size` bytes has too many.
        """
        if size > self.max_json_bytes:
            raise PayloadTooLargeError(f"JSON: expected at most {self.max_json_bytes:,} bytes, received more")


def _check_count(body: bytes, opening: bytes, what: str, most: int) -> None:
    count = body.count(opening)
    if count > most:
        raise PayloadTooLargeError(f"JSON: expected at most {most:,} {what}, received {count:,}")
