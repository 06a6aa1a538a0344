"""How the gate's figures are shown: a table for people, one JSON object for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from atelier.console import plain_console

SEVERAL_SPACES = 2

if TYPE_CHECKING:
    from export.evidence import Evidence
    from export.limits import Limits
    from export.parity_report import FigureTable
    from serving.bundle import Manifest, Parity


def print_evidence(evidence: Evidence, limits: Limits) -> None:
    """A row for each runtime, figures outside of their bounds in red; below, what they were measured on.

    A model of one runtime that has no data set has no figures, and so no table.
    """
    from export.parity_report import evidence_table, remarks

    if evidence.parities or evidence.quality is not None:
        _print_table(evidence_table(evidence, limits), f"Held against {evidence.reference}")
    for remark in remarks(evidence, limits):
        typer.echo(remark)


def print_parity(manifest: Manifest) -> None:
    """The same from a published manifest."""
    from export.parity_report import allowed_remarks, manifest_table

    if manifest.parity:
        _print_table(manifest_table(manifest.parity), f"Held against {manifest.parity[0].reference}")
    for remark in allowed_remarks(manifest.allowed):
        typer.echo(remark)


def evidence_json(evidence: Evidence, limits: Limits) -> dict[str, Any]:
    """All figures, over all inputs and by kind of input, and what is outside of its bound."""
    answer: dict[str, Any] = {
        "reference": evidence.reference,
        "parity": [_figures(parity) for parity in evidence.parities],
        "parity_by_inputs": [
            {"inputs": comparison.inputs, **_figures(comparison.parity)} for comparison in evidence.comparisons
        ],
        "left_out": dict(evidence.left_out),
        "bounds": limits.by_name,
        "allowed": limits.allowed,
        "violations": [
            {"runtime": violation.runtime, "figure": violation.figure, "reason": violation.reason}
            for violation in evidence.violations(limits)
        ],
    }
    quality = evidence.quality
    if quality is not None:
        answer |= {
            "evaluated_on": quality.evaluated_on,
            "examples": quality.examples,
            quality.metric: dict(quality.measured),
            f"recorded_{quality.metric}": quality.recorded,
        }
    return answer


def _figures(parity: Parity) -> dict[str, Any]:
    return dict(parity.model_dump(mode="json", exclude_none=True))


def _print_table(figures: FigureTable, title: str) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(figures.headings):
        # Where lines are short, headings of several words make room; no figure is cut off, or leaves its unit.
        widest = max(len(line) for row in figures.rows for line in row[index].splitlines() or [""])
        table.add_column(
            heading,
            justify="right" if index else "left",
            no_wrap=heading.count(" ") < SEVERAL_SPACES,
            min_width=widest,
        )
    for row in figures.rows:
        table.add_row(*(Text(cell, style="red" if "\n" in cell else "") for cell in row))
    plain_console().print(table)
