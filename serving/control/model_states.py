"""The states of models and versions in all workers together: a version is available once every worker answers for it.

Who waits for AVAILABLE and then asks may reach any of the workers.
"""

from __future__ import annotations

from collections.abc import Iterable

from serving.control.peers import Peers
from serving.control.readiness import VersionReport
from serving.repository.manager import Manager
from serving.repository.records import ModelStatus, VersionStatus
from serving.repository.transition import State


class ModelStates:
    """What this worker's manager says, held against the last reports of the others."""

    def __init__(self, manager: Manager, peers: Peers) -> None:
        self._manager = manager
        self._peers = peers

    def models(self) -> list[ModelStatus]:
        """As `Manager.models`."""
        return [
            model._replace(versions=self._everywhere(model.name, model.versions)) for model in self._manager.models()
        ]

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """As `Manager.statuses`.

        Raises:
            ModelNotFoundError: no such model or version is known.
        """
        return self._everywhere(name, self._manager.statuses(name, version))

    def _everywhere(self, name: str, own: list[VersionStatus]) -> list[VersionStatus]:
        reports = self._peers.reports.values()
        if not reports:
            return own
        elsewhere = [report.versions_of(name) if report is not None else {} for report in reports]
        return [combined(status, [versions.get(status.version) for versions in elsewhere]) for status in own]


def combined(own: VersionStatus, elsewhere: Iterable[VersionReport | None]) -> VersionStatus:
    """One version's status out of those of all workers; None is a worker that does not know it. A pure function.

    Where it is not available everywhere, a worker that failed to load it counts most, then the least advanced one.
    """
    statuses = [own]
    for report in elsewhere:
        if report is not None:
            statuses.append(VersionStatus(own.version, State(report.state), report.error))
        elif own.state is State.AVAILABLE:  # one that has ended may be forgotten elsewhere
            statuses.append(VersionStatus(own.version, State.START, None))
    lacking = [status for status in statuses if status.state is not State.AVAILABLE]
    if lacking:
        return min(lacking, key=lambda status: (status.error is None, status.state))
    return next((status for status in statuses if status.error is not None), own)
