"""HTTP/2 of the gRPC port, whose bytes Envoy passes on as they are, to serving/http2/ on a Unix socket.

Envoy still takes the connections, counts them, and speaks TLS. Where it reads the HTTP/2 too, each request goes from
its thread to Python's and back several times; see docs/performance.md.
"""

from __future__ import annotations

from typing import Any

from serving.envoy.filters import EXTENSIONS
from serving.envoy.tls import only_http2

CLUSTER = "http2"
_NO_LIMIT = 1_000_000
_SILENCE = "120s"
"""Clients are asked every 60 s whether they are there (serving/http2/farewell.py), so only one that is gone is silent
for as long: Envoy hears of a connection that Python has closed, and waits for the client to close it as well."""


def pass_http2_on(
    config: dict[str, Any], but_of_port: int, socket_path: str, transport_socket: dict[str, Any] | None
) -> None:
    """Has the listener tell HTTP/2 by its first bytes, or by what the client offers in TLS, but on one port.

    `transport_socket` is that of serving/envoy/tls.py.
    """
    (listener,) = config["static_resources"]["listeners"]
    inspector, protocol = ("http_inspector.v3.HttpInspector", "h2c")
    if transport_socket is not None:
        inspector, protocol = ("tls_inspector.v3.TlsInspector", "h2")
    listener.setdefault("listener_filters", []).append(
        {
            "name": f"envoy.filters.listener.{inspector.partition('.')[0]}",
            "typed_config": {"@type": f"{EXTENSIONS}.filters.listener.{inspector}"},
            "filter_disabled": {"destination_port_range": {"start": but_of_port, "end": but_of_port + 1}},
        }
    )
    proxy = {
        "@type": f"{EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": CLUSTER,
        "cluster": CLUSTER,
        "idle_timeout": _SILENCE,
    }
    chain: dict[str, Any] = {
        "filter_chain_match": {"application_protocols": [protocol]},
        "filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}],
    }
    if transport_socket is not None:
        chain["transport_socket"] = only_http2(transport_socket)
    listener["filter_chains"].insert(0, chain)
    endpoint = {"endpoint": {"address": {"pipe": {"path": socket_path}}}}
    config["static_resources"].setdefault("clusters", []).append(
        {
            "name": CLUSTER,
            "type": "STATIC",
            "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
            "circuit_breakers": {
                "thresholds": [{"max_connections": _NO_LIMIT, "max_pending_requests": _NO_LIMIT}],
            },
            "transport_socket": _with_the_clients_address(),
        }
    )


def _with_the_clients_address() -> dict[str, Any]:
    """The first line of a connection names who opened it (PROXY protocol, version 1)."""
    sockets = f"{EXTENSIONS}.transport_sockets"
    raw = {"@type": f"{sockets}.raw_buffer.v3.RawBuffer"}
    return {
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": {
            "@type": f"{sockets}.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            "config": {"version": "V1"},
            "transport_socket": {"name": "envoy.transport_sockets.raw_buffer", "typed_config": raw},
        },
    }
