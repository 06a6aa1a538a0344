"""Real gateways on free ports, gone when their block ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from serving.server import Gateway, start
from serving.settings import ServingSettings
from tests.support.waiting import wait_until


class RunningGateway:
    """A gateway process, with a REST client for it."""

    def __init__(self, gateway: Gateway, client: httpx.Client) -> None:
        self.process = gateway
        self.rest = client
        self.grpc_address = f"127.0.0.1:{gateway.addresses.grpc_port}"
        self.rest_url = f"http://127.0.0.1:{gateway.addresses.rest_port}"

    def wait_until_ready(self) -> None:
        """Returns once every model answers; at its start, that is sure of models that other servers have no part in."""
        wait_until(lambda: self.rest.get("/readyz").status_code == 200)


def one_connection(url: str, **options: Any) -> httpx.Client:
    """Stays with the worker that it meets first: opens no other connection in place of one that was idle for a while.

    httpx does that after five seconds, if nothing is said.
    """
    return httpx.Client(base_url=url, timeout=120.0, limits=httpx.Limits(keepalive_expiry=None), **options)


@contextlib.contextmanager
def running_gateway(models: Path | None, **settings: Any) -> Iterator[RunningGateway]:
    """Starts a gateway for the folder, if one is given; it looks for new versions every 50 ms."""
    defaults = {"poll_interval_s": 0.05, "drain_grace_s": 0.05, "onnx_threads": 1}
    named = {} if models is None else {"models": models}
    chosen = ServingSettings(**named, host="127.0.0.1", grpc_port=0, rest_port=0, **{**defaults, **settings})
    with start(chosen) as gateway:
        url = f"http://127.0.0.1:{gateway.addresses.rest_port}"
        with one_connection(url) as client:
            yield RunningGateway(gateway, client)
