"""How long clients may take."""

from __future__ import annotations

from typing import NamedTuple


class Patience(NamedTuple):
    """See the settings of these names."""

    request_timeout_s: float
    idle_timeout_s: float
    max_connection_age_s: float
    """0 has no limit."""
