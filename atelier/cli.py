"""The command line. Each command lives in a module of its own and imports what is heavy when it runs."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from atelier.ask import models, predict
from atelier.demo import demo
from atelier.export import export, inspect, verify
from atelier.serve import serve
from atelier.train import recipes, train

app = typer.Typer(name="atelier", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Say which release this is, and end.")] = False,
) -> None:
    """An image classifier from training to production: train, export, serve and ask it."""
    if version:
        typer.echo(f"atelier {metadata.version('atelier')}")
        raise typer.Exit


for command in (train, recipes, export, inspect, verify, serve, predict, models, demo):
    app.command()(command)


def main() -> None:
    """The console script."""
    app()
