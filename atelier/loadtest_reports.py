"""`atelier loadtest compare` and `atelier loadtest report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atelier.errors import load_test_errors
from atelier.loadtest_options import SLO_HELP, Report

_MOST = 8
"""So many curves can be told apart."""


def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER…", help="Folders of load tests; the first is what changes are from.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("comparison.html"),
) -> None:
    """Set the reports of two load tests, or more, side by side."""
    with load_test_errors():
        from loadtest.errors import UsageError
        from loadtest.report.comparison import names_of, write_comparison
        from loadtest.results import make_folder, read_results

        if not 1 < len(folders) <= _MOST:
            raise UsageError(f"expected 2 to {_MOST} folders to compare, received {len(folders)}")
        reports = [read_results(folder)[0] for folder in folders]
        make_folder(out.parent)
        write_comparison(out, list(zip(names_of(folders), reports, strict=True)))
    typer.echo(f"comparison: {out}")


def report(
    recording: Annotated[Path, typer.Argument(help="A recording.jsonl, or the folder of a load test.")],
    slo: Annotated[str | None, typer.Option(help=SLO_HELP, show_default="the one it was run with")] = None,
    folder: Report = Path("loadtest-report"),
) -> None:
    """Write the report of a recording again, as of a test that Locust ran by itself, or with another objective."""
    with load_test_errors():
        from loadtest.report.run import write_report
        from loadtest.results import REPORT, make_folder, read_results

        done, _ = read_results(recording, slo)
        path = make_folder(folder) / REPORT
        write_report(path, done)
    typer.echo(f"report: {path}")
