"""What commands say in one sentence."""

from __future__ import annotations

import pytest
import typer

from atelier.console import needs_extra


def test_a_missing_extra_is_installed_from_the_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, needs_extra("training"):
        raise ModuleNotFoundError("No module named 'keras'", name="keras")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == (
        'atelier: this command needs pip install ".[training]" in a checkout of Atelier: keras is missing\n'
    )
