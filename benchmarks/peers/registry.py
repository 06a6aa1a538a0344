"""The peers: how each is started, asked by its best protocol, and which of its settings are tried."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.calls import json_http, oip_grpc, raw_http
from benchmarks.servers import CallFor

Setting = tuple[str, ...]
"""Flags of a server."""


@dataclass(frozen=True)
class Peer:
    """`benchmarks.peers.servers.<name>` in the environment of `requirements/<name>.txt`.

    `settings` are flags of that module; for each number of requests in flight the fastest of them is measured.
    """

    name: str
    title: str
    package: str
    call_for: CallFor
    settings: Sequence[Setting] = ((),)
    environment: Mapping[str, str] = field(default_factory=dict)


def _batching(*sizes_and_waits_ms: tuple[int, int]) -> Sequence[Setting]:
    """No batching, and each of these largest batches with the longest wait for them."""
    return ((), *(("--batch", str(size), "--wait-ms", str(wait)) for size, wait in sizes_and_waits_ms))


_OWN_LIBPYTHON = {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}
"""Triton's Python back end takes the libpython that it finds, and needs the one of the environment's Python."""

_MOSEC = (*_batching((8, 1), (16, 1), (32, 1), (64, 1)), ("--workers", "2", "--batch", "16", "--wait-ms", "1"))
"""With as many in flight as a batch takes nobody waits; with fewer a batch waits its millisecond."""

_RAY = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""For throughput, as its documentation says, but through the proxy, which alone listens on a port that is given."""

_PEERS = (
    Peer("mosec", "Mosec", "mosec", partial(raw_http, path="/inference"), _MOSEC),
    Peer("pytriton", "PyTriton", "nvidia-pytriton", oip_grpc, _batching((16, 0), (64, 0)), _OWN_LIBPYTHON),
    Peer(
        "mlserver",
        "MLServer",
        "mlserver",
        oip_grpc,
        (("--workers", "0"), ("--workers", "1"), ("--workers", "0", "--batch", "16", "--wait-ms", "1")),
    ),
    Peer(
        "bentoml",
        "BentoML",
        "bentoml",
        partial(json_http, path="/predict"),
        _batching((64, 100), (64, 1000)),
        {"BENTOML_DO_NOT_TRACK": "True"},
    ),
    Peer(
        "litserve",
        "LitServe",
        "litserve",
        partial(raw_http, path="/predict"),
        (*_batching((16, 1), (64, 1)), ("--fast-queue",), ("--fast-queue", "--batch", "64", "--wait-ms", "1")),
    ),
    Peer(
        "rayserve",
        "Ray Serve",
        "ray",
        partial(raw_http, path="/"),
        _batching((16, 1), (64, 1)),
        _RAY,
    ),
    Peer("kserve", "KServe", "kserve", oip_grpc),
)

PEERS: Mapping[str, Peer] = {peer.name: peer for peer in _PEERS}
