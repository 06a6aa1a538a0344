"""Removing a version: it is gone for every reader in one moment, and a removal that was cut off is finished later."""

from __future__ import annotations

import shutil
from pathlib import Path

REMOVED_PREFIX = ".removed-"


def finish_removals(model_dir: Path) -> None:
    """Deletes what versions have left that were being removed when their remover died."""
    for folder in model_dir.glob(f"{REMOVED_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)
