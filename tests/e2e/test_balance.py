"""gRPC connections stay where they are; a maximum age makes clients look again, and find gateways that are new."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import httpx
import numpy as np

from serving.server import start
from serving.settings import ServingSettings
from tests.support.bundles import write_bundle
from tests.support.load import steady_load
from tests.support.name_server import name_server
from tests.support.ports import free_ports
from tests.support.tfs import predict_request

FIRST, SECOND = "127.0.0.2", "127.0.0.3"
AGE_S = 0.5


def settings(models: Path, host: str, port: int) -> ServingSettings:
    return ServingSettings(
        models=models, host=host, grpc_port=port, rest_port=0, onnx_threads=1, max_connection_age_s=AGE_S
    )


async def test_a_client_that_is_connected_finds_a_second_gateway_behind_the_name(tmp_path: Path) -> None:
    write_bundle(tmp_path / "first" / "brightness" / "1")
    write_bundle(tmp_path / "second" / "brightness" / "2")
    request = predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8))
    (port,) = free_ports(1)  # on both addresses, as pods have the same port on addresses of their own
    options = [("grpc.lb_policy_name", "round_robin"), ("grpc.dns_min_time_between_resolutions_ms", 50)]
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(name_server())
        names.addresses = [FIRST]
        stack.enter_context(start(settings(tmp_path / "first", FIRST, port)))
        address = f"dns://127.0.0.1:{names.port}/gateway-grpc.atelier:{port}"
        async with steady_load(address, request, in_flight=4, options=options) as tally:
            await tally.seen(1, times=20)
            await asyncio.to_thread(stack.enter_context, start(settings(tmp_path / "second", SECOND, port)))
            assert 2 not in tally.answers
            names.addresses = [FIRST, SECOND]
            await tally.seen(2, times=200)
            first_so_far = tally.answers[1]
            await tally.seen(1, times=first_so_far + 200)
        assert tally.failures == []


async def test_a_connection_that_grows_old_takes_nothing_with_it(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    request = predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8))
    with start(settings(tmp_path, FIRST, *free_ports(1))) as gateway:
        address = f"{FIRST}:{gateway.addresses.grpc_port}"
        async with steady_load(address, request, in_flight=16) as tally:
            await asyncio.sleep(6 * AGE_S)  # several ages
        assert tally.failures == []
        assert tally.answers[1] > 0


def test_rest_clients_that_keep_their_connection_are_told_with_an_answer(tmp_path: Path) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    with start(settings(tmp_path, FIRST, *free_ports(1))) as gateway:
        url = f"http://{FIRST}:{gateway.addresses.rest_port}/healthz"
        with httpx.Client(timeout=60.0) as client:
            told = False
            while not told:
                answer = client.get(url)
                assert answer.status_code == 200
                told = answer.headers.get("connection") == "close"
            assert client.get(url).status_code == 200
