"""`atelier compare`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.console import FAILED, WRONG_USE, needs_extra, plain_console, sentences
from atelier.options import AsJson

if TYPE_CHECKING:
    from pydantic import JsonValue
    from rich.table import Table

    from training.comparison import Comparison


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Two run folders or more; the others are held against the first."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Draw the curves over one another into this PNG.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set finished runs side by side: what differs, their figures, and whether that is more than chance."""
    with needs_extra("training"):
        from training.comparison import ASSUMPTION, compare_runs
        from training.comparison_picture import draw_comparison
        from training.errors import RunError, TrainingError, UsageError
        from training.run import read_run

        statuses: dict[type[Exception], int] = {UsageError: WRONG_USE, TrainingError: FAILED}
        with sentences(statuses, interrupted="interrupted"):
            found = [read_run(path) for path in runs]
            comparison = compare_runs(found)
            if out is not None:
                try:
                    draw_comparison(found, comparison.runs, out)
                except OSError as error:
                    raise RunError(f"{out} cannot be written: {error.strerror or error}") from error
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(comparison)))
        return
    console = plain_console()
    console.print(_table(comparison))
    console.print()
    for warning in comparison.warnings:
        console.print(warning, soft_wrap=True, style="yellow")
    for verdict in comparison.verdicts:
        console.print(verdict, soft_wrap=True)
    if comparison.verdicts and "accuracy" in comparison.figures:
        console.print(ASSUMPTION, soft_wrap=True, style="dim")


def _table(comparison: Comparison) -> Table:
    from rich.table import Table

    table = Table("", *comparison.runs, box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
        column.overflow = "fold"
    sections: tuple[Mapping[str, tuple[JsonValue, ...]], ...] = (
        comparison.facts,
        comparison.settings,
        comparison.figures,
    )
    for section in filter(None, sections):
        if table.row_count:
            table.add_row()
        for name, row in section.items():
            table.add_row(name, *(_text(name, value) for value in row))
    return table


def _text(name: str, value: JsonValue) -> str:
    from training.sweeps.grid import value_text

    if value is None:
        return "–"
    if name == "parameters":
        return f"{value:,}"
    if name == "seconds":
        return f"{value:.1f}"
    return f"{value:.4f}" if name in ("loss", "accuracy", "mean absolute error") else value_text(value)
