"""`atelier train`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.console import WRONG_USE, fail, note, plain_console
from atelier.errors import training_errors
from atelier.options import GIB, MAX_SEED, Data, MaxMemory, ResultAsJson, Strict
from atelier.resuming import as_interrupted, data_of_interrupted, how_to_go_on, run_path

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from training.cluster import Cluster
    from training.recipes import Recipe
    from training.run import Run

MAX_COUNT = 2**31 - 1

_MODEL = "Model"
_TRAINING = "Training"

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any other setting of the recipe; an unknown key lists the known ones."
    ),
]


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="What to train; `atelier recipes` lists them.")],
    data: Data = None,
    strict: Strict = False,
    max_memory_gib: MaxMemory = 2.0,
    units: Annotated[
        int | None, typer.Option(min=1, rich_help_panel=_MODEL, help="Of a single hidden dense layer.")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="UNITS,…", rich_help_panel=_MODEL, help="Hidden dense layers, as 512,256.")
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(rich_help_panel=_MODEL, help="Share of features left out in training, below 1.")
    ] = None,
    normalize: Annotated[
        bool | None,
        typer.Option("--normalize/--no-normalize", rich_help_panel=_MODEL, help="Whether pixels are scaled to 0..1."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_COUNT, rich_help_panel=_TRAINING, help="Passes over the training images."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=MAX_COUNT, rich_help_panel=_TRAINING, help="Images in a training step.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(rich_help_panel=_TRAINING, help="The optimizer's (highest) step size, above 0.")
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment", rich_help_panel=_TRAINING, help="Whether training images are moved about."
        ),
    ] = None,
    validation_split: Annotated[
        float | None,
        typer.Option(rich_help_panel=_TRAINING, help="Share of the training images to validate with, below 1."),
    ] = None,
    stop_at: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC=VALUE",
            rich_help_panel=_TRAINING,
            help="Stop once reached: accuracy=0.95, loss=0.4, val_loss=…",
        ),
    ] = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PATIENCE",
            rich_help_panel=_TRAINING,
            help="Stop after so many epochs without a lower validation loss; keep the best epoch's weights.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MAX_SEED, rich_help_panel=_TRAINING, help="Same seed, same weights.")
    ] = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(help="New run folder; runs/<recipe>-<date>-<time> if not given.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run at --out, or with the recipe's newest one.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write RUN/tensorboard, which `tensorboard --logdir` shows.")
    ] = False,
    as_json: ResultAsJson = False,
) -> None:
    """Train a recipe and leave a run folder: settings, history, weights, metrics, and report.html to look at.

    With several machines, the same command runs on each of them, and $TF_CONFIG says which is which.
    """
    options = {
        "units": units,
        "layers": layers,
        "dropout": dropout,
        "normalize": normalize,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "augment": augment,
        "validation_split": validation_split,
        "stop_at": stop_at,
        "early_stopping": early_stopping,
        "seed": seed,
    }
    given = parse_settings(set_ or (), {key: value for key, value in options.items() if value is not None})
    console = plain_console(stderr=as_json)
    path = out
    with training_errors(lambda: how_to_go_on(recipe, path)):
        from training.cluster import read_cluster
        from training.datasets import LoadOptions, load_dataset
        from training.progress import SentencesOnly, progress_on
        from training.recipes import find_recipe
        from training.run_folder import is_interrupted
        from training.trainer import assist
        from training.trainer import train as train_recipe
        from training.without_effect import without_effect

        settings = find_recipe(recipe)
        cluster = read_cluster()
        path = run_path(recipe, out, resume=resume) if cluster.is_chief else out
        # Another process than the chief may be on a machine that has nothing of the run that the chief resumes.
        interrupted = path if resume and path is not None and (cluster.is_chief or is_interrupted(path)) else None
        settings = (
            settings.with_settings(given) if interrupted is None else as_interrupted(settings, interrupted, given)
        )
        loading = LoadOptions(
            data_dir=data or (None if interrupted is None else data_of_interrupted(interrupted)),
            image=settings.image,
            strict=strict,
            max_memory_bytes=round(max_memory_gib * GIB),
            warn=note,
        )
        dataset = load_dataset(settings.dataset, loading)
        for sentence in without_effect(settings, given, dataset):
            note(sentence)
        if path is None or not cluster.is_chief:
            assist(settings, dataset, progress=SentencesOnly(console), cluster=cluster)
            _say_assisted(settings, cluster, console, as_json=as_json)
            return
        sizes = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits())
        kind = "numbers" if settings.image is None else "images"
        console.print(f"{settings.name}: {sizes} {kind}, from {dataset.source}", soft_wrap=True)
        run = train_recipe(
            settings,
            dataset,
            out=path,
            progress=progress_on(console),
            resume=resume,
            tensorboard=tensorboard,
            data_dir=loading.data_dir,
            cluster=cluster,
        )
    if as_json:
        typer.echo(json.dumps(_as_json(settings, run)))
    else:
        console.print(_in_words(settings, run), soft_wrap=True)


def parse_settings(assignments: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """What `--set` and the options of their own say together, by key.

    Ends the command where one is no `key=value`, or where a key is given twice.
    """
    given = dict(options)
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        key = key.strip().replace("-", "_")
        if not (key and equals):
            fail(f"--set: expected KEY=VALUE, received {assignment!r}", WRONG_USE)
        if key in given:
            fail(f"--set: {key} is given twice", WRONG_USE)
        given[key] = value.strip()
    return given


def _say_assisted(recipe: Recipe, cluster: Cluster, console: Console, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"run": None, "recipe": recipe.name, "process": cluster.name}))
    else:
        console.print(f"{cluster.name}: done; the chief, at {cluster.addresses[0]}, writes the run", soft_wrap=True)


def _in_words(recipe: Recipe, run: Run) -> Text:
    from rich.text import Text

    metrics = run.metrics
    name = metrics.metric.replace("_", " ")
    sizes = f"{metrics.parameters:,} parameters, {metrics.seconds:.1f} s"
    words = Text(f"{metrics.evaluated_on} {name} {metrics.value:.4f}")
    if not recipe.target.is_none:
        reached = recipe.target.reached_by(metrics)
        words.append(f" (target {recipe.target} ").append(
            "reached" if reached else "missed", "" if reached else "yellow"
        )
        words.append(")")
    words.append(f", loss {metrics.loss:.4f}, {sizes}\n")
    if run.history.stopped_early is not None:
        words.append(f"stopped early: {run.history.stopped_early}\n")
    return words.append(f"run folder: {run.path}\nreport: {run.path / 'report.html'}")


def _as_json(recipe: Recipe, run: Run) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "recipe": recipe.name,
        "metrics": run.metrics.model_dump(),
        "target": dataclasses.asdict(recipe.target),
        "target_reached": recipe.target.reached_by(run.metrics),
        "stopped_early": run.history.stopped_early,
    }
