"""The command line. Each command lives in a module of its own and imports what is heavy when it runs."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from atelier.ask import models, predict
from atelier.compare import compare
from atelier.console import INTERRUPTED
from atelier.demo import demo
from atelier.export import export
from atelier.inspect import inspect, verify
from atelier.loadtest import app as loadtest
from atelier.promote import promote, rollback
from atelier.prune import prune
from atelier.recipes import recipes
from atelier.serve import serve
from atelier.status import status
from atelier.sweep import sweep
from atelier.traffic import traffic
from atelier.train import train

app = typer.Typer(name="atelier", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Say which release this is, and end.")] = False,
) -> None:
    """An image classifier from training to production: train, export, serve and ask it."""
    if version:
        typer.echo(f"atelier {metadata.version('atelier')}")
        raise typer.Exit


for command in (
    train,
    recipes,
    sweep,
    compare,
    export,
    inspect,
    verify,
    prune,
    serve,
    predict,
    models,
    status,
    traffic,
    promote,
    rollback,
    demo,
):
    app.command()(command)
app.add_typer(loadtest, name="loadtest")


def main() -> None:
    """The console script."""
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            # Everything is cleaned up and said. TensorFlow's threads may still be in the step that was interrupted, and
            # crash when the interpreter is taken down under them (seen: status -11).
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise
