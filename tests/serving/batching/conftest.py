"""Stands for batchers that are checked when the test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.support.batcher_stand import Stand


@pytest.fixture
async def new_stand() -> AsyncIterator[Callable[..., Stand]]:
    """Makes stands; when the test ends, all requests get their answer and no row waits."""
    stands: list[Stand] = []

    def make(*, threaded: bool = True, **settings: Any) -> Stand:
        stands.append(Stand(threaded=threaded, **settings))
        return stands[-1]

    yield make
    for stand in stands:
        while stand.executor.kept:
            await stand.run_batch()
        await stand.advance(1e6)
        assert all(request.done() for request in stand.requests)
        assert stand.batcher.queued_rows == 0
