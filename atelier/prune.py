"""`atelier prune`: old versions leave the repository, never one that somebody needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.client import connect
from atelier.console import FAILED, WRONG_USE, fail, needs_extra, plain_console, sentences
from atelier.options import AsJson

if TYPE_CHECKING:
    from export.prune import Pruning

NOT_HELD = frozenset({"END", "UNKNOWN"})
"""States of a version that the server does not have in memory."""


def prune(
    model_dir: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL_DIR]", help="A model's folder, such as models/clothes or s3://bucket/models/clothes."
        ),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest versions stay in any case.")] = 3,
    models: Annotated[
        str | None, typer.Option(metavar="DIR", help="Instead of MODEL_DIR, the repository: all of its models.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --models: only this model.")] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(help="REST address of a gateway or a TensorFlow Serving that holds versions; may be repeated."),
    ] = None,
    unserved: Annotated[
        bool, typer.Option("--unserved", help="No server elsewhere holds versions, so none has to be asked.")
    ] = False,
    model_config_file: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A models.config of TensorFlow Serving that lies elsewhere; may be repeated."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old versions: never one that a label or models.config names, or that a server holds.

    Gateways on this machine are noticed by themselves; name servers elsewhere with --url. One that cannot be asked
    ends the command with exit code 1 before anything is removed.
    """
    if (model_dir is None) == (models is None) or (model is not None and models is None):
        fail("prune: expected either MODEL_DIR, or --models with or without --model", WRONG_USE)
    if url and unserved:
        fail("prune: expected --url or --unserved, received both", WRONG_USE)
    with _sentences():
        from export.prune import prune as prune_model

        folders = _model_dirs(model_dir, models, model)
        # Everybody is asked before anything is removed.
        served = [_served_versions(url, folder.name) if url else {} if unserved else None for folder in folders]
        prunings = [
            prune_model(folder, keep, served=held, model_config_files=model_config_file or (), dry_run=dry_run)
            for folder, held in zip(folders, served, strict=True)
        ]
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "models": [_as_json(pruning) for pruning in prunings]}, indent=2))
    else:
        _print(prunings, dry_run=dry_run)


def _model_dirs(model_dir: str | None, models: str | None, model: str | None) -> list[Path]:
    from export.errors import WrongUseError
    from export.location import parse_location, store_sentences
    from export.versions import check_name, is_model_name, published_versions

    if model_dir is not None:
        return [parse_location(model_dir)]
    repository = parse_location(models or "")
    if model is not None:
        check_name(model)
        return [repository / model]
    with store_sentences(repository):
        entries = sorted(repository.iterdir(), key=str) if repository.is_dir() else []
        found = [entry for entry in entries if is_model_name(entry.name) and published_versions(entry)]
    if not found:
        raise WrongUseError(f"{repository} is no repository: there is no model with a version in it")
    return found


def _served_versions(urls: Sequence[str], name: str) -> dict[int, tuple[str, ...]]:
    """What the servers hold of the model; one that does not answer, or does not know it, ends the command."""
    from serving.errors import ServingError

    held: dict[int, tuple[str, ...]] = {}
    for url in urls:
        with connect(url, timeout_s=10.0) as client:
            try:
                statuses = client.versions(name)
            except ServingError as error:
                fail(f"the server at {url} cannot tell which versions of {name} it holds: {error}", FAILED)
        for status in statuses:
            if status.state not in NOT_HELD:
                version = int(status.version)
                held[version] = (*held.get(version, ()), f"{status.state.lower()} at {url}")
    return held


@contextmanager
def _sentences() -> Iterator[None]:
    with needs_extra("export"):
        from export.errors import ExportError, WrongUseError
        from serving.errors import BundleError

        statuses = {WrongUseError: WRONG_USE, ExportError: FAILED, BundleError: FAILED}
        interrupted = "interrupted; what was being removed, the next `atelier prune` finishes"
        with sentences(statuses, interrupted=interrupted):
            yield


def _as_json(pruning: Pruning) -> dict[str, object]:
    return {
        "path": str(pruning.model_dir),
        "removed": list(pruning.remove),
        "kept": {str(version): list(reasons) for version, reasons in pruning.keep.items()},
    }


def _print(prunings: Sequence[Pruning], *, dry_run: bool) -> None:
    from rich.table import Table

    table = Table("model", "version", "", "because", box=None, header_style="bold")
    for pruning in prunings:
        for version in sorted({*pruning.keep, *pruning.remove}):
            kept = version in pruning.keep
            became = "kept" if kept else "would be removed" if dry_run else "removed"
            table.add_row(pruning.model_dir.name, str(version), became, ", ".join(pruning.keep.get(version, ())))
    plain_console().print(table)
