"""Clients that leave while their request waits: their work is cancelled, and nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serving.frontends.departures import Departures
from serving.frontends.http import ClientGoneError


class Client:
    """Stays until it leaves."""

    def __init__(self) -> None:
        self.gone = False
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        return {"type": "http.disconnect" if self.gone else "http.request", "body": b""}


async def until_asked(client: Client, times: int) -> None:
    while client.asked < times:  # noqa: ASYNC110 -- one look after the other, each a timer of the loop
        await asyncio.sleep(0.001)


async def test_the_work_of_a_client_that_left_is_cancelled_and_the_others_is_not() -> None:
    departures, leaver, stayer = Departures(every_s=0.001), Client(), Client()
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    later: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    assert departures.nobody_waits
    left = asyncio.create_task(departures.watch(leaver.receive, never))
    stayed = asyncio.create_task(departures.watch(stayer.receive, later))
    await until_asked(leaver, 2)
    assert not departures.nobody_waits
    leaver.gone = True

    with pytest.raises(ClientGoneError):
        await left
    assert never.cancelled()
    assert left.cancelling() == 0
    await until_asked(stayer, stayer.asked + 2)
    later.set_result("answer")
    assert await stayed == "answer"
    assert departures.nobody_waits


async def test_quick_work_is_not_asked_about() -> None:
    departures, client = Departures(every_s=60.0), Client()

    async def work() -> str:
        return "answer"

    assert await departures.watch(client.receive, work()) == "answer"
    assert client.asked == 0


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    departures, client = Departures(every_s=60.0), Client()
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(departures.watch(client.receive, never))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_more_clients_than_one_look_asks_for_are_all_noticed() -> None:
    departures, clients = Departures(every_s=0.001), [Client() for _ in range(200)]
    loop = asyncio.get_running_loop()
    tasks = [asyncio.create_task(departures.watch(client.receive, loop.create_future())) for client in clients]
    for client in clients:
        client.gone = True
    found = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(error) for error in found] == [ClientGoneError] * 200
