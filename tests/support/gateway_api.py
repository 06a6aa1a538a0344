"""The part of the Gateway API (gateway.networking.k8s.io/v1) that k8s/ uses, strictly.

No package that pip installs carries its schemas. Written from the API's published reference, release 1.4:
https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=1, le=65535)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Hostname = Annotated[
    str, Field(max_length=253, pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
]


class Strict(BaseModel):
    """Knows its fields, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Object(Strict):
    """What every object has."""

    apiVersion: Literal["gateway.networking.k8s.io/v1"]  # noqa: N815 -- Kubernetes' own names
    metadata: dict[str, Any]


class RouteNamespaces(Strict):
    """RouteNamespaces."""

    from_: Literal["All", "Selector", "Same", "None"] = Field(alias="from")


class AllowedRoutes(Strict):
    """AllowedRoutes."""

    namespaces: RouteNamespaces


class CertificateRef(Strict):
    """SecretObjectReference."""

    name: ObjectName


class ListenerTls(Strict):
    """ListenerTLSConfig; what terminates TLS needs a certificate."""

    mode: Literal["Terminate"]
    certificateRefs: Annotated[list[CertificateRef], Field(min_length=1, max_length=64)]  # noqa: N815 -- Kubernetes' name


class Listener(Strict):
    """Listener."""

    name: ObjectName
    protocol: Literal["HTTP", "HTTPS"]
    port: Port
    hostname: Hostname | None = None
    tls: ListenerTls | None = None
    allowedRoutes: AllowedRoutes | None = None  # noqa: N815 -- Kubernetes' name


class GatewaySpec(Strict):
    """GatewaySpec."""

    gatewayClassName: ObjectName  # noqa: N815 -- Kubernetes' name
    listeners: Annotated[list[Listener], Field(min_length=1, max_length=64)]


class Gateway(Object):
    """Gateway."""

    kind: Literal["Gateway"]
    spec: GatewaySpec


class ParentRef(Strict):
    """ParentReference."""

    name: ObjectName


class BackendRef(Strict):
    """HTTPBackendRef and GRPCBackendRef: a Service's needs a port."""

    name: ObjectName
    port: Port


class PathMatch(Strict):
    """HTTPPathMatch."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"]
    value: Annotated[str, Field(max_length=1024, pattern="^/")]


class HttpMatch(Strict):
    """HTTPRouteMatch."""

    path: PathMatch


class HttpRule(Strict):
    """HTTPRouteRule."""

    matches: Annotated[list[HttpMatch], Field(max_length=64)]
    backendRefs: Annotated[list[BackendRef], Field(max_length=16)]  # noqa: N815 -- Kubernetes' name


class GrpcRule(Strict):
    """GRPCRouteRule; without matches it takes every call."""

    backendRefs: Annotated[list[BackendRef], Field(max_length=16)]  # noqa: N815 -- Kubernetes' name


class RouteSpec(Strict):
    """What both routes have."""

    parentRefs: Annotated[list[ParentRef], Field(max_length=32)]  # noqa: N815 -- Kubernetes' name
    hostnames: Annotated[list[Hostname], Field(max_length=16)]


class HttpSpec(RouteSpec):
    """HTTPRouteSpec."""

    rules: Annotated[list[HttpRule], Field(min_length=1, max_length=16)]


class GrpcSpec(RouteSpec):
    """GRPCRouteSpec."""

    rules: Annotated[list[GrpcRule], Field(max_length=16)]


class HttpRoute(Object):
    """HTTPRoute."""

    kind: Literal["HTTPRoute"]
    spec: HttpSpec


class GrpcRoute(Object):
    """GRPCRoute."""

    kind: Literal["GRPCRoute"]
    spec: GrpcSpec


MODELS: dict[str, type[Object]] = {"Gateway": Gateway, "HTTPRoute": HttpRoute, "GRPCRoute": GrpcRoute}
