"""`atelier loadtest find-limit`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.console import FAILED, INTERRUPTED, fail, plain_console, print_json, sigterm_as_ctrl_c
from atelier.errors import load_test_errors
from atelier.loadtest_flags import generator_of, plan_of_flags
from atelier.loadtest_options import (
    HOW,
    SLO_HELP,
    WHAT,
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
from atelier.options import ResultAsJson

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from loadtest.limit import Search
    from loadtest.plan import LoadPlan


def find_limit(
    slo: Annotated[str, typer.Option(help=SLO_HELP)],
    url: Url = None,
    grpc_address: GrpcAddress = None,
    ca_file: CaFile = None,
    model: Model = None,
    api: ApiMix = None,
    rows: Rows = None,
    data: Data = None,
    timeout: Timeout = None,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=URL", help="A running server to try; may come again.", rich_help_panel=WHAT),
    ] = None,
    serve: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FLAGS",
            help='Starts `atelier serve` with these flags and tries it: --serve "--max-batch-size 1"; may come again.',
            rich_help_panel=WHAT,
        ),
    ] = None,
    models: Annotated[Path, typer.Option(help="Folder of models for --serve.", rich_help_panel=WHAT)] = Path("models"),
    first_rate: Annotated[
        float, typer.Option(min=1, help="Requests a second to try first.", rich_help_panel=HOW)
    ] = 100.0,
    highest_rate: Annotated[
        float, typer.Option(min=1, max=200_000, help="Requests a second not to go beyond.", rich_help_panel=HOW)
    ] = 200_000.0,
    precision: Annotated[
        float, typer.Option(min=0.5, max=100, help="Per cent to which the limit shall be known.", rich_help_panel=HOW)
    ] = 5.0,
    duration: Annotated[
        float | None, typer.Option(help="Seconds of each trial.", show_default="10", rich_help_panel=HOW)
    ] = None,
    spacing: Spacing = None,
    warm_up: WarmUp = None,
    seed: Seed = None,
    generator: GeneratorName = "locust",
    connections: Connections = None,
    processes: ProcessCount = 1,
    folder: Report = Path("loadtest-limit"),
    as_json: ResultAsJson = False,
) -> None:
    """Find the highest rate that keeps the objective, for each server or setting given.

    Doubles the rate until the objective is missed, then bisects; each trial
    warms up first. The folder gets report.html, with all curves in one picture,
    and each trial's recording. Exit status: 0 each has a limit, 1 one has none.
    """
    given = {**locals(), "duration": duration or 10.0}
    with load_test_errors():
        from loadtest.environment import describe_environment
        from loadtest.errors import UsageError
        from loadtest.limit import Bounds, Setting, parse_serve, parse_target
        from loadtest.limit import find_limit as search_limit
        from loadtest.report.limits import write_limits
        from loadtest.results import make_folder
        from loadtest.running import Processes
        from loadtest.session import Session
        from loadtest.slo import parse_slo

        plan = plan_of_flags(given)
        conditions = parse_slo(slo)
        if not conditions:
            raise UsageError("--slo: expected an objective, received none")
        settings = [
            *(parse_target(text) for text in target or ()),
            *(parse_serve(text, models) for text in serve or ()),
        ]
        if grpc_address and settings:
            raise UsageError("--grpc-address: expected without --target and --serve, whose gRPC is at their URLs")
        session = Session(
            plan,
            conditions,
            make_folder(folder),
            generator_of(given),
            Processes(processes),
            arguments=["atelier", *sys.argv[1:]],
        )
        environment = describe_environment(plan.url if not serve else "started here", session.arguments, plan.ca_file)
        console = plain_console(stderr=as_json)
        bounds = Bounds(first_rate, highest_rate, precision / 100)
        searches: list[Search] = []
        with sigterm_as_ctrl_c():
            for setting in settings or [Setting(plan.url)]:
                with console.status(setting.name) as status:
                    trying = partial(_trying, status, setting.name)
                    search = search_limit(session, setting, bounds, partial(_tried, console), trying)
                searches.append(search)
                console.print(search.sentence, style="bold", soft_wrap=True)
                if search.interrupted:
                    break
        write_limits(folder / "report.html", [one for one in searches if one.trials], plan, slo, environment)
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)
    if as_json:
        print_json({"slo": slo, "limits": {one.setting.name: one.limit for one in searches}})
    if any(one.interrupted for one in searches):
        fail(f"interrupted; the report in {folder} has what was found until then", INTERRUPTED)
    if any(one.limit is None for one in searches):
        raise typer.Exit(FAILED)


def _trying(status: Status, name: str, plan: LoadPlan) -> None:
    seconds = plan.warm_up_s + plan.duration_s
    status.update(f"{name}: {plan.rate:,.0f} requests/s for {seconds:g} s")


def _tried(console: Console, search: Search) -> None:
    from loadtest.slo import milliseconds

    trial = search.trials[-1]
    said = "met" if trial.met else "missed"
    remark = ", generator saturated" if trial.saturated else ""
    console.print(f"  {trial.rate:,.0f} requests/s: p99 {milliseconds(trial.p99_ms)}, {said}{remark}", soft_wrap=True)
