"""What Prometheus and `atelier status` ask for: figures and states of the whole gateway, whichever worker is asked."""

from __future__ import annotations

from importlib.metadata import version as package_version
from typing import Any

from serving.control.model_states import ModelStates
from serving.control.peers import Peers
from serving.frontends.health import Health
from serving.frontends.http import Send, send_body, send_json
from serving.observability.exposition import CONTENT_TYPE
from serving.repository.manager import Manager
from serving.repository.records import Model, ModelStatus


class GatewayPages:
    """Answers with what the supervisor has added up."""

    def __init__(self, peers: Peers, manager: Manager, states: ModelStates, health: Health) -> None:
        self._peers = peers
        self._manager = manager
        self._states = states
        self._health = health

    async def metrics(self, send: Send) -> None:
        """All figures in Prometheus' text format."""
        await self._send_text(send, "metrics")

    async def tfserving_metrics(self, send: Send) -> None:
        """The figures that TensorFlow Serving has, under its names."""
        await self._send_text(send, "tfserving_metrics")

    async def status(self, send: Send) -> None:
        """Workers, models, versions and their figures as JSON."""
        gateway = await self._peers.ask("status")
        reasons = self._health.not_ready()
        figures = gateway.pop("models")
        models = [
            _view(status, self._manager.model(status.name), figures.get(status.name, {}))
            for status in self._states.models()
        ]
        document = {
            "version": package_version("atelier"),
            "ready": not reasons,
            "reasons": reasons,
            "problems": self._manager.all_problems(),
            **gateway,
            "models": models,
        }
        await send_json(send, 200, document)

    async def _send_text(self, send: Send, document: str) -> None:
        text = await self._peers.ask(document)
        await send_body(send, 200, text.encode(), CONTENT_TYPE.encode())


def _view(status: ModelStatus, model: Model, figures: dict[str, Any]) -> dict[str, Any]:
    of_versions = figures.pop("versions", {})
    shares = model.shares()
    shadow = model.shadow_target()
    versions = [
        {
            "version": str(one.version),
            "state": one.state.name,
            "error": one.error or "",
            "labels": sorted(label for label, version in status.labels.items() if version == one.version),
            "share": shares.get(one.version, 0.0),
            "is_shadow": shadow is not None and shadow.version == one.version,
            **of_versions.get(str(one.version), {}),
        }
        for one in status.versions
    ]
    unbound = {label: str(version) for label, version in model.labels.items() if status.labels.get(label) != version}
    return {
        "name": status.name,
        "task": status.task,
        "problem": model.stored.problem or "",
        "waiting_labels": unbound,
        **figures,
        "versions": versions,
    }
