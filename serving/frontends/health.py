"""What probes ask for, over HTTP."""

from __future__ import annotations

import contextlib
from pathlib import Path

from serving.control.peers import Peers
from serving.control.readiness import Report, VersionReport, all_answer_for, not_ready
from serving.frontends.http import Send, send_json
from serving.repository.manager import Manager


class Health:
    """Liveness of this worker, and readiness of the whole gateway; `shared` is the folder of all its workers."""

    def __init__(self, manager: Manager, peers: Peers, shared: Path) -> None:
        self._manager = manager
        self._peers = peers
        self._has_been_ready = shared / "has-been-ready"
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
        return ["the gateway is stopping"] if self._draining else not_ready(self.report(), self._peers.reports)

    def out_of_service(self) -> list[str]:
        """Why no client shall be sent here; empty from the first time that the gateway was found ready until it stops.

        A model that comes later and is broken, or still loads, is the same in all gateways of one folder: without this,
        it would take all of them out of service, and every other model from its clients.
        """
        reasons = self.not_ready()
        if not reasons:
            with contextlib.suppress(OSError):  # on a full disk: in service while it is ready
                self._has_been_ready.touch()
        return [] if not self._draining and self._has_been_ready.exists() else reasons

    def answers_for(self, name: str) -> bool | None:
        """Whether a model has a version that answers, in every worker; None where there is no such model."""
        answers = self._manager.answers_for(name)
        return answers and not self._draining and all_answer_for(name, self._peers.reports.values())

    def report(self) -> Report:
        """What this worker says of itself to the others."""
        models = self._manager.models()
        answered = [model.name for model in models if self._manager.answers_for(model.name)]
        versions = [VersionReport(model.name, *status) for model in models for status in model.versions]
        return Report(self._manager.not_ready(), answered, versions)

    async def live(self, send: Send) -> None:
        """200 as long as the event loop turns."""
        await send_json(send, 200, {"live": True})

    async def ready(self, send: Send) -> None:
        """200 when every model has an available version, else 503 with the reasons."""
        await self._say_ready(send, self.not_ready())

    async def in_service(self, send: Send) -> None:
        """200 when clients shall be sent here, else 503 with the reasons."""
        await self._say_ready(send, self.out_of_service())

    @staticmethod
    async def _say_ready(send: Send, reasons: list[str]) -> None:
        await send_json(send, 503 if reasons else 200, {"ready": not reasons, "reasons": reasons})
