"""What the supervisor says of the whole gateway: Prometheus' texts, and the status that people look at."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version as package_version
from typing import Any

from serving.control.readiness import Report, is_ready
from serving.observability.exposition import expose
from serving.observability.figures import Family, Sample, added_up, of_living_versions
from serving.observability.process_figures import process_figures
from serving.observability.status import models_of, process_of
from serving.observability.tfserving_figures import as_tfserving
from serving.supervision.slot import Slot

_SUPERVISOR = "supervisor"


class Documents:
    """Made from what the slots hold; see `Slot.collect`."""

    def __init__(self, slots: Sequence[Slot], supervisor_pid: int) -> None:
        self.draining = False
        self._slots = slots
        self._pid = supervisor_pid
        self._started_at = time.monotonic()

    def reports(self) -> dict[int, Report | None]:
        """What the workers that take connections say of themselves; None where one has never done so.

        One that has crashed takes no connections: it is left out until it is back.
        """
        return {
            slot.number: slot.report if slot.has_served else None
            for slot in self._slots
            if slot.serving is not None or not slot.has_served
        }

    def make(self, name: str) -> Any:
        """The document of that name: `metrics`, `tfserving_metrics`, `samples` or `status`.

        Raises:
            KeyError: there is none of that name.
        """
        makers: Mapping[str, Callable[[], Any]] = {
            "metrics": self._metrics,
            "tfserving_metrics": self._tfserving_metrics,
            "samples": self._samples,
            "status": self._status,
        }
        return makers[name]()

    def _metrics(self) -> str:
        return expose(added_up([self._of_workers(), list(self._of_gateway()), list(process_figures(self._pids()))]))

    def _tfserving_metrics(self) -> str:
        return expose(as_tfserving(self._of_workers()))

    def _samples(self) -> list[Sample]:
        return [sample for family in self._of_workers() for sample in family.samples]

    def _status(self) -> dict[str, Any]:
        processes = added_up([list(process_figures(self._pids()))])
        workers = [
            {
                "number": slot.number,
                "state": slot.state,
                "pid": slot.serving.pid if slot.serving is not None else None,
                "uptime_s": round(slot.serving.served_s, 1) if slot.serving is not None else 0.0,
                "restarts": slot.restarts,
                **process_of(processes, str(slot.number)),
            }
            for slot in self._slots
        ]
        uptime_s = round(time.monotonic() - self._started_at, 1)
        return {"uptime_s": uptime_s, "workers": workers, "models": models_of(self._of_workers())}

    def _of_workers(self) -> list[Family]:
        living = added_up(slot.last_figures for slot in self._slots)
        ended = added_up(slot.ended_figures for slot in self._slots)
        return added_up([living, of_living_versions(ended, living)])

    def _of_gateway(self) -> Iterator[Family]:
        states = [slot.state for slot in self._slots]
        counts = {state: states.count(state) for state in ("serving", "starting", "restarting")}
        yield _family("atelier_workers", "Workers by what they do.", "gauge", "state", counts)
        restarts = {str(slot.number): slot.restarts for slot in self._slots}
        yield _family("atelier_worker_restarts_total", "Starts after a crash.", "counter", "worker", restarts)
        ready = float(not self.draining and is_ready(self.reports()))
        yield Family(
            "atelier_ready",
            "1 when every worker answers for every model.",
            "gauge",
            [Sample("atelier_ready", {}, ready)],
        )
        build = {"version": package_version("atelier"), "python_version": platform.python_version()}
        name = "atelier_build_info"
        yield Family(name, "What runs here; the value is 1.", "gauge", [Sample(name, build, 1.0)])

    def _pids(self) -> dict[str, int]:
        workers = {str(slot.number): slot.serving.pid for slot in self._slots if slot.serving is not None}
        return {**workers, _SUPERVISOR: self._pid}


def _family(name: str, documentation: str, kind: str, label: str, values: Mapping[str, float]) -> Family:
    return Family(name, documentation, kind, [Sample(name, {label: key}, value) for key, value in values.items()])
