"""Files that somebody looks at while they change."""

from __future__ import annotations

from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Gives the file another text in one moment: nobody ever sees it empty, as it is while it is written in place."""
    written = path.with_name(f".{path.name}.new")
    written.write_text(text)
    written.replace(path)
