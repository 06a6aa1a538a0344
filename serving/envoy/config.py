"""Envoy's configuration: it takes clients' connections, speaks TLS, and passes the bytes on to Python.

Where it reads HTTP itself, each request goes from its thread to Python's and back several times; see
docs/performance.md. So serving/connections/ reads it, on the event loop that batches.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pyvoy import PyvoyServer

APPLICATION = "serving.application:application"
CONNECTIONS = "connections"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_GIVE_MEMORY_BACK = {"bytes_to_release": 8 * 1024 * 1024, "memory_release_interval": "1s"}
"""Envoy's allocator serves the whole process, models too, and would keep what they have freed for ever."""
_ACCEPTED_PER_TURN = 1
"""Connections that a turn of Envoy's loop takes: those that come in crowds wait, and those that are open do not."""
_READ_PER_TURN_BYTES = 64 * 1024
"""Of one connection, before it is another's turn."""
_NO_LIMIT = 1_000_000
_HANDSHAKE_TIMEOUT_S = 10.0
_LONGEST_ANSWER_S, _GRACE_S = 300.0, 60.0
"""A connection over which nothing goes is ended by Python, by the settings. Envoy ends it later: one that Python has
closed, and the client does not, or one of HTTP/1.1 whose answer takes longer; over HTTP/2 a client is asked for a byte
every minute."""
_KEEPALIVE = {"keepalive_time": 60, "keepalive_interval": 20, "keepalive_probes": 3}
"""Seconds. Finds clients of HTTP/1.1 that are gone without a word."""


class Ports(NamedTuple):
    """Where clients come in; both ports speak HTTP/1.1, HTTP/2, gRPC and gRPC-Web."""

    host: str
    grpc_port: int
    rest_port: int
    max_connections: int
    patience_s: float
    """How long a connection may be idle, or take for a request."""


class Sockets(NamedTuple):
    """Paths of Unix sockets, out of reach of the network."""

    admin: str
    """Envoy's own interface."""
    application: str
    """Of a listener that nobody connects to: pyvoy starts the application with one."""
    connections: str
    """Where Python takes the connections that are passed on."""


def build_config(ports: Ports, sockets: Sockets, transport_socket: dict[str, Any] | None = None) -> dict[str, Any]:
    """`transport_socket` is that of serving/envoy/tls.py, for both ports."""
    config: dict[str, Any] = PyvoyServer(APPLICATION, lifespan=True).get_envoy_config()
    config["admin"] = {
        "address": _unix(sockets.admin),
        "ignore_global_conn_limit": True,  # a full gateway can still be asked and stopped
    }
    config["memory_allocator_manager"] = _GIVE_MEMORY_BACK
    config["overload_manager"] = _at_most(ports.max_connections)
    (application,) = config["static_resources"]["listeners"]
    application["address"] = _unix(sockets.application)
    config["static_resources"]["listeners"].append(_listener(ports, transport_socket))
    config["static_resources"]["clusters"] = [_cluster(sockets.connections)]
    if transport_socket is not None:
        config["node"] = {"id": CONNECTIONS, "cluster": CONNECTIONS}  # secrets need to be asked for in some name
    return config


def _listener(ports: Ports, transport_socket: dict[str, Any] | None) -> dict[str, Any]:
    """One for both ports, so that they share Envoy's turns."""
    proxy = {
        "@type": f"{_EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": CONNECTIONS,
        "cluster": CONNECTIONS,
        "idle_timeout": _seconds(max(ports.patience_s, _LONGEST_ANSWER_S) + _GRACE_S),
    }
    chain: dict[str, Any] = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}
    if transport_socket is not None:
        chain["transport_socket"] = transport_socket
        chain["transport_socket_connect_timeout"] = _seconds(min(_HANDSHAKE_TIMEOUT_S, ports.patience_s))
    return {
        "name": CONNECTIONS,
        "address": _tcp(ports.host, ports.grpc_port),
        "additional_addresses": [{"address": _tcp(ports.host, ports.rest_port)}],
        "max_connections_to_accept_per_socket_event": _ACCEPTED_PER_TURN,
        "per_connection_buffer_limit_bytes": _READ_PER_TURN_BYTES,
        "tcp_keepalive": _KEEPALIVE,
        "filter_chains": [chain],
    }


def _cluster(path: str) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _unix(path)}}
    limits = {"max_connections": _NO_LIMIT, "max_pending_requests": _NO_LIMIT}
    return {
        "name": CONNECTIONS,
        "type": "STATIC",
        "load_assignment": {"cluster_name": CONNECTIONS, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [limits]},
        "transport_socket": _with_the_clients_address(),
    }


def _with_the_clients_address() -> dict[str, Any]:
    """The first line of a connection names who opened it (PROXY protocol, version 1)."""
    sockets = f"{_EXTENSIONS}.transport_sockets"
    raw = {"@type": f"{sockets}.raw_buffer.v3.RawBuffer"}
    return {
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": {
            "@type": f"{sockets}.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            "config": {"version": "V1"},
            "transport_socket": {"name": "envoy.transport_sockets.raw_buffer", "typed_config": raw},
        },
    }


def _at_most(connections: int) -> dict[str, Any]:
    monitors = f"{_EXTENSIONS}.resource_monitors.downstream_connections.v3"
    limit = {"@type": f"{monitors}.DownstreamConnectionsConfig", "max_active_downstream_connections": connections}
    return {
        "resource_monitors": [
            {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": limit}
        ]
    }


def _seconds(value: float) -> str:
    return f"{value:g}s"


def _unix(path: str) -> dict[str, Any]:
    return {"pipe": {"path": path, "mode": 0o600}}


def _tcp(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
