"""What Prometheus and `atelier status` ask for: figures and states of the whole gateway, whichever worker is asked."""

from __future__ import annotations

from importlib.metadata import version as package_version
from typing import Any

from serving.exposition import CONTENT_TYPE
from serving.frontends.health import Health
from serving.frontends.http import Receive, Scope, Send, send_body, send_json
from serving.peers import Peers
from serving.repository.manager import Manager
from serving.repository.records import ModelStatus


class GatewayPages:
    """Answers with what the supervisor has added up."""

    def __init__(self, peers: Peers, manager: Manager, health: Health) -> None:
        self._peers = peers
        self._manager = manager
        self._health = health

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """All figures in Prometheus' text format."""
        await self._send_text(send, "metrics")

    async def tfserving_metrics(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """The figures that TensorFlow Serving has, under its names."""
        await self._send_text(send, "tfserving_metrics")

    async def status(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Workers, models, versions and their figures as JSON."""
        gateway = await self._peers.ask("status")
        reasons = self._health.not_ready()
        figures = gateway.pop("models")
        models = [_model(model, figures.get(model.name, {})) for model in self._manager.models()]
        document = {"version": package_version("atelier"), "ready": not reasons, "reasons": reasons, **gateway}
        await send_json(send, 200, {**document, "models": models})

    async def _send_text(self, send: Send, document: str) -> None:
        text = await self._peers.ask(document)
        await send_body(send, 200, text.encode(), CONTENT_TYPE.encode())


def _model(model: ModelStatus, figures: dict[str, Any]) -> dict[str, Any]:
    of_versions = figures.pop("versions", {})
    versions = [
        {
            "version": str(status.version),
            "state": status.state.name,
            "error": status.error or "",
            **of_versions.get(str(status.version), {}),
        }
        for status in model.versions
    ]
    return {"name": model.name, "task": model.task, **figures, "versions": versions}
