"""`atelier sweep`."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.console import FAILED, plain_console
from atelier.errors import training_errors
from atelier.options import GIB, Data, MaxMemory, ResultAsJson, Strict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from training.datasets import Dataset, LoadOptions
    from training.recipes import Recipe
    from training.run import Run
    from training.sweeps.record import Sweep
    from training.sweeps.runner import Plan

EXAMPLE = "units=128,512,1024 epochs=5,15 normalize=true,false"


def sweep(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="What to train; `atelier recipes` lists them.")],
    more_axes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE,VALUE…", help="The grid's further settings, after --grid's first.", show_default=False
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE,VALUE…",
            help=f"What varies: --grid {EXAMPLE}. Every combination is trained. "
            "A value that is a list has + between its numbers: layers=512+256,128.",
        ),
    ] = None,
    common: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of all points; may come again.")
    ] = None,
    data: Data = None,
    strict: Strict = False,
    max_memory_gib: MaxMemory = 2.0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the sweep, a run folder in it for each point; runs/<recipe>-sweep if not given."),
    ] = None,
    as_json: ResultAsJson = False,
) -> None:
    """Train a recipe at every point of a grid of settings, and say what the settings do.

    The same command goes on where it was stopped; points that are finished are not trained again. The folder gets
    sweep.json, results.csv and sweep.png.
    """
    if "=" in recipe:
        raise typer.BadParameter(f"expected a recipe's name first, then --grid, received {recipe!r}")
    folder = out or Path("runs") / f"{recipe}-sweep"
    with training_errors(
        lambda: f"interrupted; what is finished is in {folder}, and the same command goes on from there"
    ):
        from training.cluster import TF_CONFIG, read_cluster
        from training.datasets import LoadOptions
        from training.errors import RunError, UsageError
        from training.recipes import find_recipe
        from training.sweeps.grid import parse_grid
        from training.sweeps.picture import draw_sweep
        from training.sweeps.record import PICTURE
        from training.sweeps.runner import plan_sweep, run_sweep

        if read_cluster().has_others:
            raise UsageError(f"${TF_CONFIG} names several processes, but a sweep trains in one; expected it unset")
        base = find_recipe(recipe)
        parsed = parse_grid(base, [*(grid or ()), *(more_axes or ())], common or ())
        plan = plan_sweep(base, parsed, folder)
        console = plain_console(stderr=as_json)
        console.print(_intention(plan), soft_wrap=True)
        loading = LoadOptions(
            data_dir=data,
            strict=strict,
            max_memory_bytes=round(max_memory_gib * GIB),
            warn=lambda text: console.print(text, soft_wrap=True),
        )
        train_one = _trainer(plan, loading, console)
        done = run_sweep(plan, train_one, lambda line: console.print(line, soft_wrap=True))
        try:
            draw_sweep(done.results, f"{recipe}: {', '.join(done.results[0].settings)}", folder / PICTURE)
        except OSError as error:
            raise RunError(f"{folder / PICTURE} cannot be written: {error.strerror or error}") from error
    if as_json:
        typer.echo(done.model_dump_json())
    else:
        console.print()
        console.print(_table(done))
        console.print()
        for sentence in done.observation:
            console.print(sentence, soft_wrap=True)
        console.print(f"sweep folder: {folder}", soft_wrap=True)
    if any(result.failure for result in done.results):
        raise typer.Exit(FAILED)


def _intention(plan: Plan) -> str:
    said = f"{plan.recipe.name}: {len(plan.points)} points"
    if plan.is_other_grid:
        said += f"; {plan.folder} holds a sweep with another grid"
    if plan.finished:
        said += f"; {len(plan.finished)} {'is' if len(plan.finished) == 1 else 'are'} finished and reused"
    return said


def _trainer(plan: Plan, loading: LoadOptions, console: Console) -> Callable[[Recipe, Path], Run]:
    """How one point is trained; the data for the first of them is loaded now, so that what it lacks is said now."""
    from training.datasets import load_dataset
    from training.environment import quiet_tensorflow
    from training.progress import progress_on
    from training.run_folder import is_interrupted
    from training.sweeps.runner import check_same_data, data_form
    from training.trainer import train
    from training.without_effect import without_effect

    loaded: dict[str, Dataset] = {}

    def dataset_for(recipe: Recipe) -> Dataset:
        form = data_form(recipe.image)
        if form not in loaded:
            loaded.clear()  # one form at a time: photographs fill the memory
            dataset = load_dataset(recipe.dataset, dataclasses.replace(loading, image=recipe.image))
            check_same_data(plan.dataset_sha256, form, dataset.sha256)
            loaded[form] = dataset
        return loaded[form]

    def train_one(recipe: Recipe, path: Path) -> Run:
        quiet_tensorflow()
        import keras

        # It warns of the functions that each point traces anew, which it must.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        keras.backend.clear_session()
        return train(
            recipe,
            dataset_for(recipe),
            out=path,
            progress=progress_on(console),
            resume=is_interrupted(path),
            data_dir=loading.data_dir,
        )

    if plan.waiting:
        dataset = dataset_for(plan.waiting[0].recipe)
        given = {*plan.grid.axes, *plan.grid.common}
        in_vain = [set(without_effect(point.recipe, given, dataset)) for point in plan.points]
        for sentence in sorted(set.intersection(*in_vain)):
            console.print(sentence, soft_wrap=True)
    return train_one


def _table(done: Sweep) -> Table:
    from rich.table import Table

    from training.sweeps.grid import value_text
    from training.sweeps.record import best

    metric = next((one.metrics.metric.replace("_", " ") for one in done.results if one.metrics), "metric")
    top = best(done.results)
    table = Table(*done.results[0].settings, metric, "loss", "parameters", "seconds", "", box=None, header_style="bold")
    for column in table.columns[:-1]:
        column.justify = "right"
    for result in done.results:
        settings = [value_text(value) for value in result.settings.values()]
        if result.metrics is None:
            table.add_row(*settings, "failed", "", "", "", result.failure, style="yellow")
            continue
        figures = result.metrics
        table.add_row(
            *settings,
            f"{figures.value:.4f}",
            f"{figures.loss:.4f}",
            f"{figures.parameters:,}",
            f"{figures.seconds:.1f}",
            "← best" if result is top else "",
            style="bold" if result is top else None,
        )
    return table
