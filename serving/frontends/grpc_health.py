"""gRPC's health protocol, live: its answers follow the models' states.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from types import MappingProxyType

from serving.batching.terms import Terms
from serving.errors import InvalidInputError, ModelNotFoundError, UnavailableError
from serving.frontends.grpc_streams import Stream
from serving.frontends.grpc_transport import Handler
from serving.frontends.health import Health
from serving.offload.message_reader import check_short
from serving.repository.manager import Manager
from serving.wire.atelier_health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListResponse

SERVICE = "grpc.health.v1.Health"
IN_SERVICE = "in-service"


class GrpcHealth:
    """Answers for the gateway as a whole (the empty name, or one of its gRPC services) and for each model by its name.

    A model is SERVING when it has a version that answers; the whole when every model has, and the gateway is not
    stopping. `in-service` is what load balancers go by; see `Health.out_of_service`.
    """

    def __init__(self, health: Health, manager: Manager, services: Collection[str]) -> None:
        self._health = health
        self._manager = manager
        self._services = frozenset({"", SERVICE, IN_SERVICE, *services})
        self.methods: Mapping[str, Handler] = MappingProxyType(
            {f"/{SERVICE}/Check": self.check, f"/{SERVICE}/List": self.list}
        )
        self.streams: Mapping[str, Stream] = MappingProxyType({f"/{SERVICE}/Watch": Stream(self.watch, takes_one=True)})

    async def check(self, message: bytes, terms: Terms) -> bytes:  # noqa: ARG002 -- all handlers have this signature
        """`Health.Check`: one status, now.

        Raises:
            ModelNotFoundError: neither a service of this gateway nor a model.
        """
        check_short(message)
        service = HealthCheckRequest.FromString(message).service
        status = self._status(service)
        if status == HealthCheckResponse.SERVICE_UNKNOWN:
            known = ", ".join(sorted(filter(None, self._names())))
            raise ModelNotFoundError(f"unknown service {service!r}; known: {known}")
        return HealthCheckResponse(status=status).SerializeToString()

    async def list(self, message: bytes, terms: Terms) -> bytes:  # noqa: ARG002 -- all handlers have this signature
        """`Health.List`: every status."""
        statuses = {name: HealthCheckResponse(status=self._status(name)) for name in self._names()}
        return HealthListResponse(statuses=statuses).SerializeToString()

    async def watch(self, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """`Health.Watch`: the status now, and again whenever it changes, until the gateway stops.

        Raises:
            InvalidInputError: no message came.
            UnavailableError: the gateway is stopping; its last status was sent.
        """
        async for message in messages:
            check_short(message)
            service = HealthCheckRequest.FromString(message).service
            break
        else:
            raise InvalidInputError("expected one HealthCheckRequest, received none")
        sent: HealthCheckResponse.ServingStatus | None = None
        while True:
            change = self._manager.changes.next()
            status = self._status(service)
            if status != sent:
                yield HealthCheckResponse(status=status).SerializeToString()
                sent = status
            if self._health.draining:
                raise UnavailableError("the gateway is stopping")
            await change.wait()

    def _names(self) -> frozenset[str]:
        return self._services | {model.name for model in self._manager.models()}

    def _status(self, service: str) -> HealthCheckResponse.ServingStatus:
        if service == IN_SERVICE:
            serves: bool | None = not self._health.out_of_service()
        elif service in self._services:
            serves = not self._health.not_ready()
        else:
            serves = self._health.answers_for(service)
        if serves is None:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return HealthCheckResponse.SERVING if serves else HealthCheckResponse.NOT_SERVING
