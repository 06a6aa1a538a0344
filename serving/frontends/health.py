"""What probes and Prometheus ask for, over HTTP."""

from __future__ import annotations

from serving.frontends.http import Receive, Scope, Send, send_body, send_json
from serving.metrics import CONTENT_TYPE, Metrics
from serving.repository.manager import Manager


class Health:
    """Liveness, readiness and metrics of one worker."""

    def __init__(self, manager: Manager, metrics: Metrics) -> None:
        self._manager = manager
        self._metrics = metrics
        self._draining = False

    @property
    def draining(self) -> bool:
        """Whether the gateway is stopping."""
        return self._draining

    def drain(self) -> None:
        """From now on this worker says that it is not ready."""
        self._draining = True
        self._manager.changes.announce()

    def not_ready(self) -> list[str]:
        """Why the gateway cannot answer for all of its models; empty when it can."""
        return ["the gateway is stopping"] if self._draining else self._manager.not_ready()

    async def live(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """200 as long as the event loop turns."""
        await send_json(send, 200, {"live": True})

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """200 when every model has an available version, else 503 with the reasons."""
        reasons = self.not_ready()
        await send_json(send, 503 if reasons else 200, {"ready": not reasons, "reasons": reasons})

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """All figures in Prometheus' text format."""
        await send_body(send, 200, self._metrics.expose(), CONTENT_TYPE.encode())
