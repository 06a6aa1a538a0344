"""The peers: how each is started, asked by its best protocol, and which of its settings are tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.calls import raw_http
from benchmarks.servers import CallFor


@dataclass(frozen=True)
class Peer:
    """`benchmarks.peers.servers.<name>` in the environment of `requirements/<name>.txt`.

    `settings` are flags of that module; for each number of requests in flight the fastest of them is measured.
    """

    name: str
    title: str
    package: str
    call_for: CallFor
    settings: Sequence[tuple[str, ...]] = ((),)
    environment: Mapping[str, str] = field(default_factory=dict)


def _batching(*sizes_and_waits_ms: tuple[int, int]) -> Sequence[tuple[str, ...]]:
    """No batching, and each of these largest batches with the longest wait for them."""
    return ((), *(("--batch", str(size), "--wait-ms", str(wait)) for size, wait in sizes_and_waits_ms))


_PEERS = (
    Peer("mosec", "Mosec", "mosec", partial(raw_http, path="/inference"), _batching((8, 1), (16, 1), (32, 1), (64, 1))),
)

PEERS: Mapping[str, Peer] = {peer.name: peer for peer in _PEERS}
