"""A request that the batcher refuses is let go at once, with its inputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from serving.batching.terms import Terms
from serving.errors import InvalidInputError, ServingError
from tests.support.batcher_stand import Stand
from tests.support.garbage import frames_in_garbage
from tests.support.stepping import turn

NewStand = Callable[..., Stand]


def refuse(_: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    raise InvalidInputError("not this one")


def fail(_: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    raise ValueError("not any")


async def told(stand: Stand, rows: int, deadline: float | None = None) -> str:
    """What the request is refused with."""
    try:
        await stand.batcher.submit({"x": np.zeros((rows, 1))}, rows, Terms(deadline))
    except ServingError as error:
        return str(error)
    return "answered"


@pytest.mark.parametrize("model", [refuse, fail])
@pytest.mark.parametrize("rows", [1, 9])
@pytest.mark.parametrize("is_quiet", [True, False])
async def test_where_the_model_refuses_it(
    *, model: Callable[..., dict[str, np.ndarray]], rows: int, is_quiet: bool, new_stand: NewStand
) -> None:
    stand = new_stand(threaded=False)
    assert await told(stand, 1) == "answered"
    if not is_quiet:  # several came together last time
        await asyncio.gather(told(stand, 1), told(stand, 1))
    stand.model.instead = [model] * 9
    with frames_in_garbage() as frames:
        assert await told(stand, rows) in {"not this one", "the model failed: ValueError"}
        await turn()
    assert frames == []


async def test_where_its_deadline_passes(new_stand: NewStand) -> None:
    stand = new_stand(threaded=False)
    with frames_in_garbage() as frames:
        assert await told(stand, 1, deadline=0.0) == "the deadline had passed when the request arrived"
        await turn()
    assert frames == []
