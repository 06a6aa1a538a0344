"""A minute of load at 64 in flight while versions are published: `make soak`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.bundles import write_bundle
from tests.support.gateway import running_gateway
from tests.support.load import steady_load
from tests.support.tfs import predict_request

DURATION_S = 60.0
IN_FLIGHT = 64


@pytest.mark.soak
async def test_a_minute_of_load_with_versions_swapped_in_has_no_failed_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "brightness" / "1")
    request = predict_request("brightness", pixels=np.zeros((1, 2, 2), np.uint8))
    with running_gateway(tmp_path) as gateway:
        started_at = time.monotonic()
        async with steady_load(gateway.grpc_address, request, IN_FLIGHT) as tally:
            for version in range(2, 8):
                await asyncio.sleep(DURATION_S / 7)
                write_bundle(tmp_path / "brightness" / str(version), scale=version)
                await tally.seen(version)
            await asyncio.sleep(max(0.0, started_at + DURATION_S - time.monotonic()))
        lasted_s = time.monotonic() - started_at
    count = sum(tally.answers.values())
    with capsys.disabled():
        print(
            f"\n{count:,} requests in {lasted_s:.0f} s ({count / lasted_s:,.0f}/s) at {IN_FLIGHT} in flight, "
            f"{len(tally.failures)} failed; answers by version: {dict(sorted(tally.answers.items()))}"
        )
    assert tally.failures == []
    assert sorted(tally.answers) == list(range(1, 8))
