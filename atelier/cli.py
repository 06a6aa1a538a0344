"""The command line. Each command lives in a module of its own, which is imported when the command is asked for."""

from __future__ import annotations

import os
import sys
from importlib import import_module, metadata
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from atelier.console import INTERRUPTED

_MODULES = {
    "train": "train",
    "recipes": "recipes",
    "sweep": "sweep",
    "compare": "compare",
    "export": "export",
    "inspect": "inspect",
    "verify": "inspect",
    "prune": "prune",
    "serve": "serve",
    "predict": "ask",
    "models": "ask",
    "status": "status",
    "traffic": "traffic",
    "promote": "promote",
    "rollback": "promote",
    "demo": "demo",
    "loadtest": "loadtest",
}
"""Where each command is, in the order in which help shows them."""


class _Commands(TyperGroup):
    """Makes only the command that is asked for: making all of them takes as long as importing Typer."""

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """For a name that is none all are made, among which Typer looks for one that was meant."""
        for name in (cmd_name,) if cmd_name in _MODULES else _MODULES:
            if name not in self.commands:
                self.commands[name] = _make(name)
        return cast("TyperCommand | TyperGroup | None", super().get_command(ctx, cmd_name))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- the signature is Typer's
        """All names."""
        return list(_MODULES)


app = typer.Typer(
    name="atelier", cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Say which release this is, and end.")] = False,
) -> None:
    """An image classifier from training to production: train, export, serve and ask it."""
    if version:
        typer.echo(f"atelier {metadata.version('atelier')}")
        raise typer.Exit


def _make(name: str) -> TyperCommand | TyperGroup:
    """The command of that name, which is a function of its module, or the module's own Typer."""
    module = import_module(f"atelier.{_MODULES[name]}")
    commands = getattr(module, "app", None)
    if commands is None:
        commands = typer.Typer(add_completion=False)
        commands.command(name)(getattr(module, name))
    command = cast("TyperCommand | TyperGroup", typer.main.get_command(commands))
    command.name = name
    return command


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
