"""Looking at processes that may end at any moment."""

from __future__ import annotations

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether the process is there and has not ended; one that nobody has waited for yet (a zombie) has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # it has ended before it could be looked at, or in the middle of that
        return False
