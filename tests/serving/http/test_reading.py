"""When a connection is read, and when another has its turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serving.http.reading import LONG_READ_BYTES, Reading
from serving.http1.connection import Connection as Http1Connection
from serving.http2.connection import Connection as Http2Connection
from serving.wire import http2 as frames
from tests.serving.http.stand import Echo, Transport, service_of
from tests.serving.http1.stand import CHUNKED
from tests.serving.http2.stand import data, headers


def reading_of(transport: Transport) -> Reading:
    return Reading(transport)  # type: ignore[arg-type]


async def test_it_stops_while_it_is_held() -> None:
    transport = Transport()
    reading = reading_of(transport)
    for holds in (True, True, False, False, True):
        reading.hold(holds=holds)
        assert transport.is_reading is not holds


async def test_it_goes_on_a_turn_later() -> None:
    transport = Transport()
    reading = reading_of(transport)
    reading.end_turn()
    reading.end_turn()
    assert not transport.is_reading
    await asyncio.sleep(0)
    assert transport.is_reading


async def test_the_next_turn_does_not_come_while_it_is_held() -> None:
    transport = Transport()
    reading = reading_of(transport)
    reading.end_turn()
    reading.hold(holds=True)
    await asyncio.sleep(0)
    assert not transport.is_reading
    reading.hold(holds=False)
    assert transport.is_reading


async def test_one_that_is_closed_is_left_alone() -> None:
    transport = Transport()
    reading = reading_of(transport)
    reading.end_turn()
    transport.close()
    transport.resume_reading = lambda: pytest.fail("resumed")  # type: ignore[method-assign]
    await asyncio.sleep(0)
    reading.hold(holds=True)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Http1Connection, CHUNKED + b"%x\r\n" % 10_000_000),
        (Http2Connection, frames.PREFACE + headers(1)),
    ],
)
async def test_after_a_long_read_it_is_anothers_turn(kind: Any, said: bytes) -> None:
    transport = Transport()
    connection = kind(service_of(Echo()), lambda _: None, None, leaves=False)
    connection.connection_made(transport)
    connection.data_received(said.removeprefix(frames.CONNECTION_BEGINS))
    piece = bytes(LONG_READ_BYTES) if kind is Http1Connection else data(1, bytes(16_000)) * 16
    connection.data_received(piece[: LONG_READ_BYTES - 1])
    assert transport.is_reading
    connection.data_received(piece[LONG_READ_BYTES - 1 :] + piece[: LONG_READ_BYTES - 1])
    assert not transport.is_reading
    await asyncio.sleep(0)
    assert transport.is_reading
    connection.connection_lost(None)
