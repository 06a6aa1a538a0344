"""Labels, weights and shadows of a gateway with several workers: told to one, followed by all."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from tests.support.admin import MODEL, Admin, administered
from tests.support.load import steady_load
from tests.support.tfs import predict_request
from tests.support.waiting import wait_until

PIXELS = np.array([[[10, 20], [30, 40]]], np.uint8)
BODY = {"instances": PIXELS.tolist()}
CONNECTIONS = 24
"""The kernel gives every worker some of them: that one of two gets none has a chance of 1 in 8 million."""


def versions_seen(admin: Admin) -> Counter[str]:
    """Who answers as many new connections."""
    url = f"{admin.gateway.rest_url}/v1/models/brightness:predict"
    answers = [httpx.post(url, json=BODY, timeout=60.0) for _ in range(CONNECTIONS)]
    assert {answer.status_code for answer in answers} == {200}
    return Counter(answer.headers["x-atelier-version"] for answer in answers)


async def test_every_worker_follows_a_promotion_and_a_rollback_without_a_failed_request(tmp_path: Path) -> None:
    with administered(tmp_path, 3, workers=2) as admin:
        request = predict_request("brightness", pixels=PIXELS)
        async with steady_load(admin.gateway.grpc_address, request, 8) as tally:
            await tally.seen(1, times=20)
            assert admin.put_label("stable", 3).status_code == 200
            await asyncio.to_thread(wait_until, lambda: versions_seen(admin) == {"3": CONNECTIONS})
            assert admin.roll_back(label="stable").status_code == 200
            await asyncio.to_thread(wait_until, lambda: versions_seen(admin) == {"1": CONNECTIONS})
        assert tally.failures == []
        assert set(tally.answers) <= {1, 3}


def test_a_worker_that_is_started_again_knows_the_labels_that_were_moved(tmp_path: Path) -> None:
    with administered(tmp_path, 3, workers=2) as admin:
        assert admin.put_label("stable", 3).status_code == 200
        wait_until(lambda: versions_seen(admin) == {"3": CONNECTIONS})
        killed = admin.gateway.process.worker_pids[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in (pids := admin.gateway.process.worker_pids) and len(pids) == 2)
        wait_until(lambda: httpx.get(f"{admin.gateway.rest_url}/readyz", timeout=60.0).status_code == 200)
        assert versions_seen(admin) == {"3": CONNECTIONS}


def test_what_the_shadows_of_all_workers_have_counted_is_added_up(tmp_path: Path) -> None:
    with administered(tmp_path, 3, workers=2) as admin:
        shadow = {"target": "3", "max_busy": 1.0}
        assert admin.rest.put(f"{MODEL}/traffic", json={"traffic": {"stable": 1}, "shadow": shadow}).status_code == 200

        def looks() -> bool:
            """Each look on a new connection, whichever worker has that: all of them say the same."""
            versions_seen(admin)
            headers = dict(admin.rest.headers)
            urls = [f"{admin.gateway.rest_url}{MODEL}"] * 4
            found = [httpx.get(url, headers=headers, timeout=60.0).json()["comparisons"] for url in urls]
            return len(found[0]) == 1 and found == [found[0]] * 4 and found[0][0]["compared"] >= 2 * CONNECTIONS

        wait_until(looks)
