from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.serving.http.stand import clock

__all__ = ["clock", "pytest_asyncio_loop_factories"]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that workers have, unless its clock has to be set."""
    del config
    has_a_clock = "clock" in getattr(item, "fixturenames", ())
    return {"asyncio": asyncio.new_event_loop} if has_a_clock else {"uvloop": uvloop.new_event_loop}
