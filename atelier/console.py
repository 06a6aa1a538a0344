"""How every command talks to people: results on standard output, remarks and errors on standard error."""

from __future__ import annotations

from typing import NoReturn

import typer

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130


def note(text: str) -> None:
    """A remark that is no result."""
    typer.echo(text, err=True)


def fail(text: str, status: int) -> NoReturn:
    """Says in one sentence what was wrong and ends the command.

    Raises:
        typer.Exit: always.
    """
    typer.secho(f"atelier: {text}", err=True, fg=typer.colors.RED)
    raise typer.Exit(status)
