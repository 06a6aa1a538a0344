"""What commands say in one sentence."""

from __future__ import annotations

import pytest
import typer
from rich.table import Table

from atelier.console import needs_extra, plain_console


def test_a_missing_extra_is_installed_from_the_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, needs_extra("training"):
        raise ModuleNotFoundError("No module named 'keras'", name="keras")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == (
        'atelier: this command needs `make setup` or pip install ".[training]" in a checkout of Atelier: '
        "keras is missing\n"
    )


def test_names_in_lines_and_tables_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    name = "x[/red] [bold] :shoe:"
    table = Table("file")
    table.add_row(name)
    console = plain_console()
    console.print(name)
    console.rule(name)
    console.print(table)
    assert capsys.readouterr().out.count(name) == 3
