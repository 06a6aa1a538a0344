"""A load test's folder: the recording, the server's figures, the verdict for machines, and the report for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.figures import PERCENTILES, Outcome, outcome_of
from loadtest.recording import read_recording
from loadtest.report.run import RunReport, write_report
from loadtest.running import RECORDING
from loadtest.server_figures import read_samples
from loadtest.slo import parse_slo

REPORT, RESULT, SERVER = "report.html", "result.json", "server.jsonl"


def make_folder(path: Path) -> Path:
    """The folder, made where it is not there.

    Raises:
        UsageError: it cannot be.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--report {path}: expected a folder to write to: {error.strerror}") from error
    return path


def result_of(outcome: Outcome, slo: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The verdict and the figures as one JSON object; latencies in milliseconds, shares 0..1, None for no figure."""
    figures = outcome.figures
    return {
        "met": outcome.is_met if outcome.conditions else None,
        "partial": outcome.is_partial,
        "slo": slo,
        "judgements": [
            {"condition": one.condition.text, "value": _known(one.value), "met": one.met} for one in outcome.judgements
        ],
        "generator": outcome.recording.start.get("generator"),
        "seconds": outcome.seconds,
        "requests": figures.requests,
        "right_answers": figures.right_answers,
        "unfinished": outcome.recording.unfinished,
        "answered_per_s": round(figures.answered_per_s, 3),
        "latency_ms": {
            "mean": _known(figures.mean_ms),
            **{f"p{percentile:g}": _known(figures.percentile_ms(percentile)) for percentile in PERCENTILES},
            "max": _known(figures.max_ms),
        },
        "errors": dict(figures.errors),
        "error_texts": dict(figures.error_texts),
        "accuracy": _known(figures.accuracy),
        "late_share": round(figures.late_share, 6),
        "saturated_windows": outcome.saturated_windows,
        "plan": outcome.plan.model_dump(mode="json"),
        "environment": dict(environment),
    }


def write_results(folder: Path, report: RunReport, slo: str) -> dict[str, Any]:
    """Writes the verdict and the report; the recording is there already."""
    result = result_of(report.outcome, slo, report.environment)
    (folder / RESULT).write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_report(folder / REPORT, report)
    return result


def read_results(path: Path, slo: str | None = None) -> tuple[RunReport, str]:
    """A test's folder, or its recording alone, read again; and its objective, `slo` if that is given.

    Raises:
        UsageError: there is none, or it is broken.
    """
    recording = path / RECORDING if path.is_dir() else path
    folder = recording.parent
    samples = _lines(folder / SERVER)
    known = _document(folder / RESULT)
    objective = str(known.get("slo", "")) if slo is None else slo
    outcome = outcome_of(read_recording(recording), parse_slo(objective))
    try:
        report = RunReport(outcome, read_samples(samples), dict(known.get("environment", {})))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder}: expected a load test's folder, received a broken one ({error})") from error
    return report, objective


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: expected a load test's result, received something else ({error})") from error
    return document if isinstance(document, dict) else {}


def _lines(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: expected a server's figures, received something else ({error})") from error


def _known(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
