"""A channel: connections that are lost, made anew and given up, and names that stand for several addresses."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from serving.backends.tfserving.channel import Channel
from serving.wire import http2 as frames
from serving.wire.grpc_codes import DEADLINE_EXCEEDED, UNAVAILABLE
from tests.support.http2_calls import asking, channel_to, failure, greeted
from tests.support.http2_server import Http2Server, http2_server


async def test_a_connection_that_is_lost_fails_its_calls_and_is_made_anew(
    server: Http2Server, channel: Channel
) -> None:
    call = asking(channel)
    peer = await greeted(server)
    await peer.request()
    peer.end()
    assert (await failure(call)).code == UNAVAILABLE
    following = asking(channel)
    successor = await greeted(server)
    successor.answer(await successor.request(), b"answer")
    assert await following == b"answer"


async def test_a_connection_that_has_no_numbers_left_for_streams_is_followed_by_another(
    server: Http2Server, channel: Channel
) -> None:
    call = asking(channel)
    peer = await greeted(server)
    peer.answer(await peer.request(), b"first")
    assert await call == b"first"
    channel._in_turn[0]._next_stream = frames.LAST_STREAM
    last, following = asking(channel), asking(channel)
    assert await peer.request() == frames.LAST_STREAM
    successor = await greeted(server)
    successor.answer(await successor.request(), b"following")
    peer.answer(frames.LAST_STREAM, b"last")
    assert await asyncio.gather(last, following) == [b"last", b"following"]
    await peer.until_closed()


async def test_a_server_that_accepts_and_says_nothing_is_asked_nothing(server: Http2Server, channel: Channel) -> None:
    assert (await failure(asking(channel, timeout_s=0.05))).code == DEADLINE_EXCEEDED


async def test_without_a_server_a_call_is_unavailable() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        async with channel_to(f"127.0.0.1:{nobody.getsockname()[1]}") as channel:
            assert (await failure(asking(channel))).code == UNAVAILABLE


@pytest.mark.parametrize("problem", [socket.gaierror("unknown"), UnicodeError("label too long")], ids=str)
async def test_a_name_without_addresses_is_unavailable(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    async def lookup(*_: Any, **_options: Any) -> None:
        raise problem

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
    async with channel_to("models.example:8500") as channel:
        error = await failure(asking(channel))
        assert (error.code, error.text) == (UNAVAILABLE, str(problem))


async def test_giving_up_ends_calls_and_whoever_waits_for_a_connection(server: Http2Server, channel: Channel) -> None:
    call = asking(channel)
    peer = await server.peer()  # which has not greeted yet
    channel.give_up()
    assert (await failure(call)).code == UNAVAILABLE
    call = asking(channel)
    peer = await greeted(server)
    await peer.request()
    channel.give_up()
    error = await failure(call)
    assert (error.code, error.text) == (UNAVAILABLE, "the server has gone silent")


async def test_closing_leaves_nobody_waiting(server: Http2Server) -> None:
    channel = Channel(server.address)
    call = asking(channel)
    peer = await greeted(server)
    await peer.request()
    await channel.close()
    for late in (call, asking(channel)):
        error = await failure(late)
        assert (error.code, error.text) == (UNAVAILABLE, "the gateway is stopping")
    await peer.until_closed()


async def test_closing_ends_the_wait_for_a_connection(server: Http2Server) -> None:
    channel = Channel(server.address)
    call = asking(channel)
    await server.peer()  # which says nothing
    await channel.close()
    assert (await failure(call)).code == UNAVAILABLE


async def test_a_name_stands_for_all_its_addresses_and_for_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with http2_server("127.0.0.1") as one, http2_server("127.0.0.2", one.port) as other:
        hosts = ["127.0.0.1"]

        async def lookup(_host: str, port: int, **_options: Any) -> list[tuple[Any, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
        async with channel_to(f"models.example:{one.port}") as channel:
            call = asking(channel)
            peers = [await greeted(one)]
            peers[0].answer(await peers[0].request(), b"one")
            assert await call == b"one"
            hosts.append("127.0.0.2")
            channel.refresh()
            peers.append(await greeted(other))
            await peers[1].frame(frames.SETTINGS)
            await peers[1].frame(frames.SETTINGS)  # the acknowledgement: it is connected
            calls = [asking(channel) for _ in range(4)]
            for peer in peers:
                for _ in range(2):
                    peer.answer(await peer.request(), b"answer")
            assert await asyncio.gather(*calls) == [b"answer"] * 4
            hosts.remove("127.0.0.1")
            channel.refresh()
            await peers[0].until_closed()
            call = asking(channel)
            peers[1].answer(await peers[1].request(), b"other")
            assert await call == b"other"
