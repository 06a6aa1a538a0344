"""Batches to several servers: who is asked, what happens when one dies, and what a client is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from serving.backends.tfserving.backend import TfServingBackend
from serving.backends.tfserving.pool import Pool
from serving.errors import (
    DeadlineExceededError,
    InvalidInputError,
    ModelNotFoundError,
    UnavailableError,
)
from serving.observability.upstream_metrics import UpstreamMetrics
from serving.signatures import Signature, TensorSpec
from serving.upstream import Upstream
from tests.support.onnx_models import expected_scores, write_brightness_model
from tests.support.ports import free_ports
from tests.support.stepping import turn
from tests.support.tfserving import IS_REAL, TfServing, running_tfserving, write_models_config

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)


@contextlib.asynccontextmanager
async def pool_of(*addresses: str, **settings: float) -> AsyncIterator[Pool]:
    """Takes its time before it counts a server as silent, if nothing else is said."""
    patient = {"status_timeout_s": 60.0, **settings}
    pool = Pool(Upstream(addresses=addresses, **patient), UpstreamMetrics(CollectorRegistry()))  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        await pool.close()


def addresses_of(servers: list[TfServing]) -> list[str]:
    return [server.address for server in servers]


async def scores(backend: TfServingBackend) -> np.ndarray:
    return (await backend.run("serving_default", {"pixels": PIXELS}))["scores"]


async def test_versions_labels_and_signatures_are_those_of_the_servers(two_servers: list[TfServing]) -> None:
    async with pool_of(*addresses_of(two_servers)) as pool:
        states = await pool.look("brightness")
        assert {version for version, status in states.items() if status.is_available} == {3, 4}
        assert await pool.labels("brightness") == {"stable": 3}
        backend = await TfServingBackend.load(pool, "brightness", 3)
    assert backend.signatures["serving_default"] == Signature(
        (TensorSpec("pixels", "uint8", (None, 2, 2)),), (TensorSpec("scores", "float32", (None, 3)),)
    )


async def test_a_batch_is_answered_by_the_version_that_it_is_for(two_servers: list[TfServing]) -> None:
    async with pool_of(*addresses_of(two_servers)) as pool:
        for version in (3, 4):
            backend = await TfServingBackend.load(pool, "brightness", version)
            np.testing.assert_array_equal(await scores(backend), expected_scores(PIXELS, version))


async def test_a_model_or_version_that_no_server_has_is_not_found(two_servers: list[TfServing]) -> None:
    async with pool_of(*addresses_of(two_servers)) as pool:
        with pytest.raises(ModelNotFoundError, match="Could not find any versions of model other"):
            await pool.look("other")
        with pytest.raises(ModelNotFoundError, match=r"Servable not found for request: Specific\(brightness, 9\)"):
            await TfServingBackend.load(pool, "brightness", 9)


async def test_what_a_server_refuses_is_the_clients_mistake(two_servers: list[TfServing]) -> None:
    async with pool_of(*addresses_of(two_servers)) as pool:
        backend = await TfServingBackend.load(pool, "brightness", 4)
        with pytest.raises(InvalidInputError, match=r"^TensorFlow Serving: "):
            await backend.run("serving_default", {"pixels": PIXELS.reshape(3, 4)})
        np.testing.assert_array_equal(await scores(backend), expected_scores(PIXELS, 4))


async def test_batches_of_100_megabytes_pass(two_servers: list[TfServing]) -> None:
    numbers = np.zeros((25, 1_000_000), np.float32)
    numbers[:, 77] = np.arange(25)
    async with pool_of(*addresses_of(two_servers)) as pool:
        backend = await TfServingBackend.load(pool, "largest", 1)
        answer = await backend.run("serving_default", {"x": numbers})
    np.testing.assert_array_equal(answer["y"][:, 0], np.arange(25))


async def test_a_server_that_dies_under_load_fails_no_batch_and_is_asked_again_when_it_is_back(
    configuration: Path,
) -> None:
    with running_tfserving(configuration, count=2) as servers:
        async with pool_of(*addresses_of(servers), patience_s=120.0) as pool:
            await pool.look("brightness")
            backend = await TfServingBackend.load(pool, "brightness", 4)
            answered = asyncio.Semaphore(0)

            async def client() -> None:
                while not stopping.is_set():
                    np.testing.assert_array_equal(await scores(backend), expected_scores(PIXELS, 4))
                    answered.release()

            stopping = asyncio.Event()
            async with asyncio.TaskGroup() as clients:
                for _ in range(16):
                    clients.create_task(client())
                for victim in servers:
                    for _ in range(200):
                        await answered.acquire()
                    await asyncio.to_thread(victim.kill)
                    for _ in range(200):
                        await answered.acquire()
                    await asyncio.to_thread(victim.start)
                    await _until_it_is_well(pool, servers.index(victim))
                stopping.set()


async def _until_it_is_well(pool: Pool, index: int) -> None:
    async with asyncio.timeout(120.0):
        while pool._standings[index].failures:
            await pool.look("brightness")


async def test_without_any_server_a_batch_waits_for_one_within_its_patience(configuration: Path) -> None:
    (port,) = free_ports(1)
    server = TfServing(configuration, port)
    async with pool_of(server.address, patience_s=120.0) as pool:
        loading = asyncio.create_task(TfServingBackend.load(pool, "brightness", 4))
        try:
            await asyncio.to_thread(server.start)
            backend = await loading
            np.testing.assert_array_equal(await scores(backend), expected_scores(PIXELS, 4))
        finally:
            server.stop()


async def test_without_any_server_and_patience_the_model_is_unavailable() -> None:
    (port,) = free_ports(1)
    async with pool_of(f"127.0.0.1:{port}", patience_s=0.0) as pool:
        with pytest.raises(UnavailableError, match=r"^TensorFlow Serving cannot be reached$"):
            await TfServingBackend.load(pool, "brightness", 4)
        with pytest.raises(UnavailableError, match=r"^TensorFlow Serving cannot be reached$"):
            await pool.look("brightness")


async def test_a_version_that_one_server_has_is_asked_there(tmp_path: Path, two_servers: list[TfServing]) -> None:
    write_brightness_model(tmp_path / "brightness" / "5", scale=5)
    config = write_models_config(tmp_path / "models.config", {"brightness": tmp_path / "brightness"})
    with running_tfserving(config) as (newer,):
        async with pool_of(two_servers[0].address, newer.address) as pool:
            assert set(await pool.look("brightness")) == {3, 4, 5}
            for version in (3, 5):
                backend = await TfServingBackend.load(pool, "brightness", version)
                for _ in range(4):
                    np.testing.assert_array_equal(await scores(backend), expected_scores(PIXELS, version))
        async with pool_of(two_servers[0].address, newer.address) as pool:  # that has not looked yet
            backend = await TfServingBackend.load(pool, "brightness", 5)
            np.testing.assert_array_equal(await scores(backend), expected_scores(PIXELS, 5))


async def test_a_server_that_was_down_at_the_last_look_is_tried_when_the_others_fail(configuration: Path) -> None:
    with running_tfserving(configuration, count=2) as servers:
        async with pool_of(*addresses_of(servers), patience_s=120.0) as pool:
            backend = await TfServingBackend.load(pool, "brightness", 4)
            await asyncio.to_thread(servers[0].kill)
            await pool.look("brightness")
            await asyncio.to_thread(servers[0].start)
            await asyncio.to_thread(servers[1].kill)
            np.testing.assert_array_equal(await scores(backend), expected_scores(PIXELS, 4))


async def test_who_finds_no_server_does_not_ask_without_a_pause() -> None:
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    registry = CollectorRegistry()
    pool = Pool(Upstream(addresses=(address, address), patience_s=2.0), UpstreamMetrics(registry))
    with pytest.raises(UnavailableError):
        await TfServingBackend.load(pool, "brightness", 4)
    await pool.close()
    lost = registry.get_sample_value("atelier_upstream_rpcs_total", {"server": address, "outcome": "lost"})
    assert lost is not None
    assert 2 <= lost <= 12


async def test_a_server_that_falls_silent_is_given_up_and_its_batches_go_elsewhere(configuration: Path) -> None:
    with running_tfserving(configuration, count=2) as servers:
        async with pool_of(*addresses_of(servers), status_timeout_s=2.0, timeout_s=120.0, patience_s=0.0) as pool:
            backend = await TfServingBackend.load(pool, "brightness", 4)
            assert servers[0].process is not None
            os.kill(servers[0].process.pid, signal.SIGSTOP)
            batches = [asyncio.create_task(scores(backend)) for _ in range(8)]
            while not all(batch.done() for batch in batches):
                with contextlib.suppress(UnavailableError):  # the other one is slow
                    await pool.look("brightness")
            for batch in batches:
                np.testing.assert_array_equal(batch.result(), expected_scores(PIXELS, 4))
            os.kill(servers[0].process.pid, signal.SIGCONT)
            await _until_it_is_well(pool, 0)


async def test_the_deadline_bounds_an_rpc(configuration: Path) -> None:
    with running_tfserving(configuration) as (server,):
        async with pool_of(server.address) as pool:
            backend = await TfServingBackend.load(pool, "brightness", 4)
            assert server.process is not None
            os.kill(server.process.pid, signal.SIGSTOP)
            deadline = asyncio.get_running_loop().time() + 0.2
            with pytest.raises(DeadlineExceededError):
                await backend.run("serving_default", {"pixels": PIXELS}, deadline)
            os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.skipif(IS_REAL, reason="tensorflow_model_server keeps no journal")
async def test_the_deadline_is_passed_on_to_the_server(configuration: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running_tfserving(configuration, "--journal", str(journal)) as (server,):
        async with pool_of(server.address, timeout_s=500.0) as pool:
            backend = await TfServingBackend.load(pool, "brightness", 4)
            loop = asyncio.get_running_loop()
            await backend.run("serving_default", {"pixels": PIXELS}, loop.time() + 100.0)
            await backend.run("serving_default", {"pixels": PIXELS})
    first, second = (json.loads(line) for line in journal.read_text().splitlines())
    assert 50.0 < first["remaining_s"] < 110.0, "gRPC rounds up"
    assert 450.0 < second["remaining_s"] < 510.0
    assert first["rows"] == 3


async def test_a_cancelled_batch_leaves_the_pool_as_it_was(configuration: Path) -> None:
    with running_tfserving(configuration) as (server,):
        async with pool_of(server.address) as pool:
            backend = await TfServingBackend.load(pool, "brightness", 4)
            assert server.process is not None
            os.kill(server.process.pid, signal.SIGSTOP)
            batch = asyncio.create_task(scores(backend))
            await turn()
            assert pool._standings[0].in_flight == 1
            batch.cancel()
            with pytest.raises(asyncio.CancelledError):
                await batch
            os.kill(server.process.pid, signal.SIGCONT)
            assert (pool._standings[0].in_flight, pool._standings[0].failures) == (0, 0)
            np.testing.assert_array_equal(await scores(backend), expected_scores(PIXELS, 4))
