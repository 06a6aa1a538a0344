"""How every command talks to people: results on standard output, remarks and errors on standard error."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130


def plain_console(*, stderr: bool = False) -> Console:
    """For tables and colours: names and paths appear as they are, whatever brackets and colons they hold."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def note(text: str) -> None:
    """A remark that is no result."""
    typer.echo(text, err=True)


def print_json(document: Mapping[str, Any]) -> None:
    """A result for machines: one JSON object."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def words(name: str) -> str:
    """A name of a field as people read it."""
    return name.replace("_", " ")


def fail(text: str, status: int) -> NoReturn:
    """Says in one sentence what was wrong and ends the command.

    Raises:
        typer.Exit: always.
    """
    typer.secho(f"atelier: {text}", err=True, fg=typer.colors.RED)
    raise typer.Exit(status)


@contextlib.contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around a command's imports: says what to install where a package of the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        fail(
            f'this command needs `make setup` or pip install ".[{extra}]" in a checkout of Atelier: '
            f"{error.name} is missing",
            WRONG_USE,
        )


@contextlib.contextmanager
def sentences(statuses: Mapping[type[Exception], int], *, interrupted: str | Callable[[], str]) -> Iterator[None]:
    """Around a command's work: turns its known causes, and Ctrl-C, into one sentence and an exit status.

    The first class in `statuses` that fits decides.
    """
    try:
        yield
    except tuple(statuses) as error:
        fail(str(error), next(status for cause, status in statuses.items() if isinstance(error, cause)))
    except KeyboardInterrupt:
        fail(interrupted if isinstance(interrupted, str) else interrupted(), INTERRUPTED)


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Around work that cleans up on Ctrl-C: SIGTERM interrupts it in the same way."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
