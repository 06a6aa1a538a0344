"""Scenarios of `tests/export/publisher.py`, each played in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PUBLISHER = ROOT / "tests" / "export" / "publisher.py"
LONGEST_PLAY_S = 1200.0


def play(
    scenario: str, models: Path | str, *, wrapper: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
) -> Any:
    """What the scenario says of itself; `wrapper` is a command in front of it."""
    done = subprocess.run(
        [*wrapper, sys.executable, str(PUBLISHER), scenario, str(models)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LONGEST_PLAY_S,
    )
    return json.loads(done.stdout)
