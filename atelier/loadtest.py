"""`atelier loadtest`: load on a gateway, and whether it keeps its objective."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.console import (
    FAILED,
    INTERRUPTED,
    fail,
    note,
    plain_console,
    print_json,
    sigterm_as_ctrl_c,
)
from atelier.errors import load_test_errors
from atelier.loadtest_flags import generator_of, plan_of_flags
from atelier.loadtest_limit import find_limit
from atelier.loadtest_options import (
    HOW,
    SLO_HELP,
    WHO,
    ApiMix,
    CaFile,
    Connections,
    Data,
    GeneratorName,
    GrpcAddress,
    Model,
    ProcessCount,
    Report,
    Rows,
    Seed,
    Spacing,
    Timeout,
    Url,
    WarmUp,
)
from atelier.loadtest_progress import progress_of
from atelier.loadtest_reports import compare, report
from atelier.options import ResultAsJson

if TYPE_CHECKING:
    from rich.console import Console

    from loadtest.figures import Outcome
    from loadtest.report.run import RunReport

app = typer.Typer(add_completion=False)
app.command()(find_limit)
app.command()(compare)
app.command()(report)


@app.callback(invoke_without_command=True)
def loadtest(
    context: typer.Context,
    url: Url = None,
    grpc_address: GrpcAddress = None,
    ca_file: CaFile = None,
    model: Model = None,
    api: ApiMix = None,
    rows: Rows = None,
    data: Data = None,
    timeout: Timeout = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Requests a second, at the end of steps and ramp.", show_default="100", rich_help_panel=HOW),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Seconds of load.", show_default="60", rich_help_panel=HOW)
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            help="constant, steps, ramp (to the breaking point), spike, soak or replay.",
            show_default="constant",
            rich_help_panel=HOW,
        ),
    ] = None,
    from_rate: Annotated[
        float | None,
        typer.Option(help="Requests a second where steps and ramp begin.", show_default="1", rich_help_panel=HOW),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="How many rates steps has.", show_default="5", rich_help_panel=HOW)
    ] = None,
    spike_rate: Annotated[
        float | None,
        typer.Option(help="Requests a second in the spike.", show_default="5 × rate", rich_help_panel=HOW),
    ] = None,
    spike_for: Annotated[
        float | None,
        typer.Option(help="Seconds of the spike.", show_default="a fifth of the duration", rich_help_panel=HOW),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="CSV whose first column holds arrival times in seconds.", rich_help_panel=HOW),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(help="How much faster a trace is replayed.", show_default="1", rich_help_panel=HOW),
    ] = None,
    spacing: Spacing = None,
    warm_up: WarmUp = None,
    seed: Seed = None,
    generator: GeneratorName = "locust",
    connections: Connections = None,
    processes: ProcessCount = 1,
    remote_workers: Annotated[
        int, typer.Option(min=0, help="Locust workers on other machines to wait for.", rich_help_panel=WHO)
    ] = 0,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT where workers find the master.", rich_help_panel=WHO)
    ] = "127.0.0.1:0",
    slo: Annotated[str, typer.Option(help=SLO_HELP)] = "",
    folder: Report = Path("loadtest-report"),
    earlier: Annotated[
        Path | None, typer.Option("--compare", metavar="FOLDER", help="An earlier report to set beside this one.")
    ] = None,
    as_json: ResultAsJson = False,
) -> None:
    """Send requests on a schedule, check every answer, and say whether the objective is kept.

    Requests do not wait for the answers to earlier ones, and latency counts
    from the time a request was due, so that a server that stalls cannot hide.
    The folder gets report.html, result.json and recording.jsonl. Exit status:
    0 the objective is met, 1 it is missed, 2 wrong use, 130 interrupted.
    """
    if context.invoked_subcommand:
        return
    given = dict(locals())
    with load_test_errors():
        from loadtest.results import make_folder, read_results, write_results
        from loadtest.running import Processes
        from loadtest.session import Session
        from loadtest.slo import parse_slo

        plan = plan_of_flags(given, without_duration=duration is None)
        conditions = parse_slo(slo)
        before = None if earlier is None else read_results(earlier)[0]
        session = Session(
            plan,
            conditions,
            make_folder(folder),
            generator_of(given),
            Processes(processes, remote_workers, listen),
            arguments=["atelier", *sys.argv[1:]],
        )
        console = plain_console(stderr=as_json)
        with sigterm_as_ctrl_c(), progress_of(console, plan) as follow:
            done = session.run(follow)
        result = write_results(folder, done, slo)
        if earlier is not None and before is not None:
            from loadtest.report.comparison import names_of, write_comparison

            names = names_of([earlier, folder])
            write_comparison(folder / "comparison.html", list(zip(names, (before, done), strict=True)))
            note(f"comparison: {folder / 'comparison.html'}")
    _say(console, done, folder)
    if as_json:
        print_json(result)
    if done.outcome.recording.end.get("reason") == "interrupted":
        fail(f"interrupted; the report in {folder} is partial, and says so", INTERRUPTED)
    if done.outcome.recording.end.get("reason") not in {"finished", "broke"}:
        fail(f"the load test did not come to its end; the report in {folder} is partial, and says so", FAILED)
    if done.outcome.conditions and not done.outcome.is_met:
        raise typer.Exit(FAILED)
    if not done.outcome.figures.right_answers:
        fail("no request was answered right", FAILED)


def _say(console: Console, report: RunReport, folder: Path) -> None:
    """The outcome in a few lines."""
    from loadtest.report.run import headline, verdicts

    styles = {"good": "green", "bad": "red", "warn": "yellow"}
    outcome: Outcome = report.outcome
    console.print(report.title, style="bold", soft_wrap=True)
    console.print("  ".join(f"{name} {value}" for name, value in headline(outcome)), soft_wrap=True)
    for kind, count in outcome.figures.errors.most_common(3):
        console.print(f"{count:,} × {kind}: {outcome.figures.error_texts.get(kind, '')}", soft_wrap=True)
    for verdict in verdicts(outcome):
        console.print(f"{verdict.word} {verdict.text}", style=styles.get(verdict.tone, ""), soft_wrap=True)
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)
