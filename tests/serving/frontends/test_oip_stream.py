"""A stream of inferences, without a server."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

import pytest

from serving.batching.terms import Terms
from serving.errors import InvalidInputError
from serving.frontends.bodies import InflightBytes
from serving.frontends.oip_stream import InferStream
from serving.wire.atelier_oip_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from tests.support.garbage import frames_in_garbage
from tests.support.stepping import turn


async def echo(message: bytes, terms: Terms) -> bytes:
    return ModelInferResponse(id=ModelInferRequest.FromString(message).id).SerializeToString()


async def sent(*ids: str, then: Exception | None = None) -> AsyncIterator[bytes]:
    for number in ids:
        yield ModelInferRequest(id=number).SerializeToString()
    if then is not None:
        raise then


async def answered(messages: AsyncIterator[bytes], max_bytes: int = 1000) -> list[str]:
    """The ids of the answers, or their errors; and the error that ended the stream."""
    found = []
    try:
        async for answer in InferStream(echo, InflightBytes(max_bytes))(messages):
            response = ModelStreamInferResponse.FromString(answer)
            found.append(response.error_message or response.infer_response.id)
    except InvalidInputError as error:
        found.append(str(error))
    return found


async def test_every_message_is_answered_in_order() -> None:
    ids = [str(number) for number in range(200)]
    assert await answered(sent(*ids)) == ids


@pytest.mark.parametrize("count", [0, 1, 200])
async def test_what_is_no_message_ends_the_stream_behind_the_answers_so_far(count: int) -> None:
    ids = [str(number) for number in range(count)]
    with frames_in_garbage() as frames:
        assert await answered(sent(*ids, then=InvalidInputError("no message"))) == [*ids, "no message"]
    assert frames == []


async def test_a_message_for_which_there_is_no_room_is_told_so_and_the_stream_goes_on() -> None:
    first, second, third = await answered(sent("1", "too long", "3"), max_bytes=8)
    assert (first, third) == ("1", "3")
    assert "bytes of requests are held" in second


async def test_a_client_that_leaves_before_it_is_told_of_its_mistake_is_no_failure() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    stream = InferStream(echo, InflightBytes(1000))(sent("1", then=InvalidInputError("no message")))
    answers = cast("AsyncGenerator[bytes, None]", stream)
    await anext(answers)
    await turn()
    await answers.aclose()
    del answers, stream
    gc.collect()
    assert complaints == []
