"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

WITHOUT_CLOCK: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("atelier", derandomize=True, **WITHOUT_CLOCK)
settings.register_profile("explore", **WITHOUT_CLOCK)


def pytest_configure(config: pytest.Config) -> None:
    """Undoes that a shell has what it starts in the background ignore Ctrl-C, which many tests send.

    Hypothesis never goes by the clock, and tries the same examples each time; others by `--hypothesis-profile explore`.
    """
    settings.load_profile(config.getoption("hypothesis_profile", None) or "atelier")
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; without it the test is skipped, saying so."""
    value = os.environ.get("ATELIER_DATA")
    if not value or not Path(value).is_dir():
        pytest.skip("real data sets are not here: ATELIER_DATA names no folder")
    return Path(value)
