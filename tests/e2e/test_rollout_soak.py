"""Five minutes at 70 % load while ten versions are rolled out, two of them broken: `make soak`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.support.admin import TOKEN, Admin
from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.load import steady_load
from tests.support.tfs import predict_request

DURATION_S = 300.0
LOAD = 0.7
BROKEN = (5, 9)
VERSIONS = range(2, 12)
KEEPS_UP_MS = 100.0
SWAP_S = 3.0
"""How long after a change its effect on latencies is looked for."""


@dataclass
class OpenLoop:
    """Requests that are sent when they are due, whatever became of the others; latencies count from then."""

    latencies_s: list[tuple[float, float]] = field(default_factory=list)
    """When each was due, and how long it took."""
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By the label that was asked for, and the version that answered."""
    failures: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def open_load(address: str, requests: list[predict_pb2.PredictRequest], rate: float) -> AsyncIterator[OpenLoop]:
    """Sends the requests in turn, `rate` of them a second, until the block ends.

    Python's garbage collector is kept from what was there before: a look at all of TensorFlow's objects takes this
    process a quarter of a second and more, which would count as the gateway's.
    """
    seen = OpenLoop()
    async with contextlib.AsyncExitStack() as stack:
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options)) for _ in range(2)
        ]
        stubs = [prediction_service_pb2_grpc.PredictionServiceStub(channel) for channel in channels]

        async def ask(number: int, due: float) -> None:
            request = requests[number % len(requests)]
            try:
                answer = await stubs[number % len(stubs)].Predict(request, timeout=60.0)
            except grpc.aio.AioRpcError as error:
                seen.failures.append(f"{error.code()}: {error.details()}")
            else:
                seen.answers[request.model_spec.version_label, answer.model_spec.version.value] += 1
                seen.latencies_s.append((due, time.monotonic() - due))

        async def send() -> None:
            started_at, number = time.monotonic(), 0
            async with asyncio.TaskGroup() as calls:
                while not ending.is_set():
                    while (due := started_at + number / rate) <= time.monotonic():
                        calls.create_task(ask(number, due))
                        number += 1
                    await asyncio.sleep(0.001)

        ending = asyncio.Event()
        sender = asyncio.get_running_loop().create_task(send())
        try:
            yield seen
        finally:
            ending.set()
            await sender


async def capacity(gateway: RunningGateway, request: predict_pb2.PredictRequest) -> float:
    """The highest rate, among tenths of what 64 in flight reach, that this client and the gateway keep up with."""
    started_at = time.monotonic()
    async with steady_load(gateway.grpc_address, request, 64) as tally:
        await asyncio.sleep(10.0)
    most = sum(tally.answers.values()) / (time.monotonic() - started_at)
    for tenths in range(10, 1, -1):
        async with open_load(gateway.grpc_address, [request], most * tenths / 10) as seen:
            await asyncio.sleep(5.0)
        if percentile_ms([took for _, took in seen.latencies_s], 99) < KEEPS_UP_MS:
            return most * tenths / 10
    raise AssertionError(f"no rate from {most:,.0f}/s down was kept up with")


def prepare_bundles(folder: Path) -> None:
    """Every version, to be moved into place later; those of `BROKEN` hold another model than their manifest says."""
    for version in VERSIONS:
        write_bundle(folder / str(version))
    for version in BROKEN:
        (folder / str(version) / "model.onnx").write_bytes(b"no model")


def percentile_ms(latencies_s: list[float], percent: float) -> float:
    return 1000 * float(np.percentile(latencies_s, percent)) if latencies_s else float("nan")


@pytest.mark.soak
async def test_ten_versions_are_rolled_out_and_back_under_load_without_a_failed_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models, prepared = tmp_path / "models", tmp_path / "prepared"
    folder = models / "brightness"
    write_bundle(folder / "1")
    prepare_bundles(prepared)
    pixels = np.zeros((1, 2, 2), np.uint8)
    newest, stable = (predict_request("brightness", pixels=pixels) for _ in range(2))
    stable.model_spec.version_label = "stable"
    changes: list[float] = []

    def change(ask: Callable[..., httpx.Response], *what: Any) -> None:
        changes.append(time.monotonic())
        ask(*what).raise_for_status()

    (folder / "labels.json").write_text('{"stable": 1}')
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with running_gateway(models, admin_token_file=tmp_path / "token") as gateway, contextlib.ExitStack() as stack:
        admin = Admin(gateway, folder)
        stack.enter_context(admin.rest)
        rate = LOAD * await capacity(gateway, newest)
        async with open_load(gateway.grpc_address, [newest, stable], rate) as seen:
            for version in VERSIONS:
                await asyncio.sleep(DURATION_S / len(VERSIONS) / 2)
                changes.append(time.monotonic())
                (prepared / str(version)).rename(folder / str(version))
                await asyncio.sleep(DURATION_S / len(VERSIONS) / 2)
                if version not in BROKEN:
                    await asyncio.to_thread(change, admin.put_label, "stable", version)
                if version % 4 == 0:
                    await asyncio.to_thread(change, admin.roll_back)
        states = {
            status["version"]: status
            for status in gateway.rest.get("/v1/models/brightness").json()["model_version_status"]
        }
    in_swaps = [took for due, took in seen.latencies_s if any(0 <= due - at < SWAP_S for at in changes)]
    steady = [took for due, took in seen.latencies_s if not any(0 <= due - at < SWAP_S for at in changes)]
    after_each = [[took for due, took in seen.latencies_s if 0 <= due - at < SWAP_S] for at in changes]
    slowest = [round(1000 * max(took, default=0.0)) for took in after_each]
    typical_p99_ms = statistics.median(percentile_ms(took, 99) for took in after_each)
    with capsys.disabled():
        print(
            f"\n{len(seen.latencies_s):,} answers at {rate:,.0f}/s (70 %), {len(seen.failures)} failed; "
            f"p50/p99 steady {percentile_ms(steady, 50):.1f}/{percentile_ms(steady, 99):.1f} ms, "
            f"within {SWAP_S:g} s of {len(changes)} changes {percentile_ms(in_swaps, 50):.1f}/"
            f"{percentile_ms(in_swaps, 99):.1f} ms, p99 after the median change {typical_p99_ms:.1f} ms"
            f"\nby label and version: {dict(sorted(seen.answers.items()))}"
            f"\nslowest after each change (ms): {slowest}"
            f"\nbroken: {[states[str(version)]['status']['error_message'] for version in BROKEN]}"
        )
    assert seen.failures == []
    # The median of the changes: one pause of the machine is not the gateway's.
    assert typical_p99_ms <= 2 * percentile_ms(steady, 99)
    assert {version for label, version in seen.answers if not label} == {1, *VERSIONS} - set(BROKEN)
    assert all(states[str(version)]["status"]["error_message"] for version in BROKEN)
