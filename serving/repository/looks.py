"""Looks at sources and origins, in threads."""

from __future__ import annotations

from collections.abc import Mapping

from serving.errors import UnreachableError
from serving.repository.source import Fingerprint, Found, Origin, Source


def look_at(sources: Mapping[str, Source]) -> dict[str, Found | OSError | UnreachableError]:
    """What is there now, by model, or why that cannot be told."""
    found: dict[str, Found | OSError | UnreachableError] = {}
    for name, source in sources.items():
        try:
            found[name] = source.look()
        except (OSError, UnreachableError) as error:
            found[name] = error
    return found


def unseen(before: Mapping[int, Origin], error: OSError | UnreachableError) -> Found:
    """What was found before stays when the base path cannot be looked at."""
    return Found(before, problem=f"the base path cannot be looked at: {reason_of(error)}")


def reason_of(error: OSError | UnreachableError) -> str:
    """Without the path, which is nobody else's business."""
    return str(error) if isinstance(error, UnreachableError) else error.strerror or type(error).__name__


def fingerprints(origins: Mapping[tuple[str, int], Origin]) -> dict[tuple[str, int], Fingerprint]:
    """What the versions look like now, by model and number."""
    return {key: origin.fingerprint() for key, origin in origins.items()}
