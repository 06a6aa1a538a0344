"""How every command talks to people: results on standard output, remarks and errors on standard error."""

from __future__ import annotations

from typing import NoReturn

import typer


def note(text: str) -> None:
    """A remark that is no result."""
    typer.echo(text, err=True)


def fail(text: str, status: int) -> NoReturn:
    """Says in one sentence what was wrong and ends the command.

    Raises:
        typer.Exit: always.
    """
    typer.echo(f"atelier: {text}", err=True)
    raise typer.Exit(status)
