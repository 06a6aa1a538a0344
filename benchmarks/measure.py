"""Rounds: the contestants of a case one after the other, over and over, and what each of them took."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from benchmarks.cases import Case
from benchmarks.clients import WrongAnswerError
from benchmarks.load import LoadError
from benchmarks.model import Model
from benchmarks.processes import StartError
from benchmarks.report import Footprint, Report, Round
from benchmarks.servers import Entrant, Opening

MB = 1e6


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    in_flight: Sequence[int]
    rounds: int
    seconds: int
    warm_up_seconds: int
    cold_starts: int

    def at(self, in_flight: int) -> Plan:
        """The same with only so many requests at a time."""
        return replace(self, in_flight=(in_flight,))


def measure(report: Report, case: Case, model: Model, plan: Plan) -> None:
    """Starts the contestants of a case, checks their answers, and adds what it finds to the report.

    Raises:
        WrongAnswerError: one answers something else than ONNX Runtime does, before or after load.
    """
    with ExitStack() as stack:
        entrants = _open_all(stack, case, model, report)
        idle_mb = {name: _resident_mb(entrant) for name, entrant in entrants.items()}
        for level in plan.in_flight:
            for number in range(plan.rounds):
                for name, entrant in entrants.items():
                    _round(report, case, name, entrant, level, plan, warm_up=number == 0)
        for name, entrant in entrants.items():
            if entrant.seconds_to_ready is not None:
                loaded_mb = _resident_mb(entrant)
                report.footprints.append(Footprint(case.name, name, entrant.seconds_to_ready, idle_mb[name], loaded_mb))


def measure_starts(report: Report, name: str, opening: Opening, model: Model, starts: int) -> None:
    """Starts and stops a server over and over, without load."""
    for number in range(starts):
        say(f"cold start {number + 1} of {name}")
        with opening(model) as entrant:
            report.footprints.append(
                Footprint("cold", name, entrant.seconds_to_ready or 0, _resident_mb(entrant), None)
            )


def _open_all(stack: ExitStack, case: Case, model: Model, report: Report) -> Mapping[str, Entrant]:
    entrants = {}
    for name, opening in case.openings.items():
        say(f"{case.name}: starting {name}")
        try:
            entrants[name] = stack.enter_context(opening(model))
        except (StartError, OSError) as error:
            report.missing[f"{case.title}: {name}"] = str(error)
        except WrongAnswerError as error:
            raise WrongAnswerError(f"{name}: {error}") from error
    return entrants


def _round(
    report: Report, case: Case, name: str, entrant: Entrant, in_flight: int, plan: Plan, *, warm_up: bool
) -> None:
    """One run; the answer is checked again afterwards."""
    try:
        if warm_up and plan.warm_up_seconds:
            entrant.load(in_flight, plan.warm_up_seconds)
        before = entrant.used and entrant.used()
        load = entrant.load(in_flight, plan.seconds)
        used = entrant.used and entrant.used()
    except LoadError as error:
        report.missing[f"{case.title}: {name}, {in_flight} in flight"] = str(error)
        return
    try:
        entrant.check()
    except WrongAnswerError as error:
        raise WrongAnswerError(f"{name}, after load: {error}") from error
    cpu_us = (used.cpu_s - before.cpu_s) * 1e6 / load.requests if used and before else None
    report.rounds.append(Round(case.name, case.title, case.images, in_flight, name, entrant.by, load, cpu_us))
    say(f"{case.name}, {in_flight} in flight, {name}: {load.per_second * case.images:,.0f} images/s")


def _resident_mb(entrant: Entrant) -> float | None:
    return entrant.used().resident_bytes / MB if entrant.used else None


def say(text: str) -> None:
    """Progress, for the one who waits."""
    print(text, file=sys.stderr, flush=True)
