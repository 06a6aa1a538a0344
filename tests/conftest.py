"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; without it the test is skipped, saying so."""
    value = os.environ.get("ATELIER_DATA")
    if not value or not Path(value).is_dir():
        pytest.skip("real data sets are not here: ATELIER_DATA names no folder")
    return Path(value)
