"""When a gateway of several workers is ready. Pure functions.

Ready means: every worker that takes connections answers for every model. A worker that is started again after a crash
takes none until it has loaded everything, and the kernel gives new connections to the others. It keeps the gateway from
nothing, or one crash would take all of its capacity out of rotation. At the first start every worker has to come up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self


class VersionReport(NamedTuple):
    """The state of one version in one worker, by its number in `repository.transition.State`, and why it failed."""

    model: str
    version: int
    state: int
    error: str | None


class Report(NamedTuple):
    """What one worker says of itself."""

    reasons: Sequence[str]
    """Why it cannot answer for all of its models; empty when it can."""
    models: Sequence[str]
    """The models that it answers for."""
    versions: Sequence[VersionReport] = ()
    """The versions that it knows."""

    @classmethod
    def read(cls, document: Sequence[Any]) -> Self:
        """From what JSON made of one."""
        reasons, models, versions = document
        return cls(reasons, models, [VersionReport(*version) for version in versions])

    def versions_of(self, model: str) -> dict[int, VersionReport]:
        """Those of one model, by number."""
        return {one.version: one for one in self.versions if one.model == model}


def not_ready(own: Report, others: Mapping[int, Report | None]) -> list[str]:
    """Why the gateway cannot answer for all models on every connection; empty when it can.

    `others` are the other workers by number; None is one that is being started for the first time.
    """
    reasons = list(own.reasons)
    for number, report in sorted(others.items()):
        if report is None:
            reasons.append(f"worker {number} is starting")
            continue
        reasons += [f"worker {number}: {reason}" for reason in report.reasons if reason not in own.reasons]
        # One of them has seen a new model that the other has not looked at yet.
        if not own.reasons and not report.reasons:
            reasons += [f"worker {number}: {name}: loading" for name in sorted({*own.models} ^ {*report.models})]
    return reasons


def is_ready(reports: Mapping[int, Report | None]) -> bool:
    """Whether the gateway is ready, seen from outside of its workers."""
    known = {number: report for number, report in reports.items() if report is not None}
    if not known:
        return False
    number = min(known)
    return not not_ready(known[number], {other: report for other, report in reports.items() if other != number})


def all_answer_for(name: str, reports: Iterable[Report | None]) -> bool:
    """Whether every one of these workers answers for a model."""
    return all(report is not None and name in report.models for report in reports)
