"""What a person sees: lines in a file, bars on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from training.progress import progress_on
from training.run import Epoch

EPOCH = Epoch(loss=0.5, accuracy=0.8, validation_loss=0.4, validation_accuracy=0.85, seconds=1.26)


def show_two_epochs(console: Console) -> str:
    progress = progress_on(console)
    with progress.shown(epochs=2, steps=10):
        for _ in range(2):
            progress.epoch_begins()
            progress.steps_done(5, 0.7, 0.75)
            progress.steps_done(10, 0.5, 0.8)
            progress.epoch_ends(EPOCH)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_file_gets_one_plain_line_for_each_epoch() -> None:
    text = show_two_epochs(Console(file=io.StringIO(), width=40))

    assert text == "".join(
        f"epoch {number}/2  loss 0.500  accuracy 0.800  validation loss 0.400  accuracy 0.850  1.3 s\n"
        for number in (1, 2)
    )


def test_a_terminal_gets_a_bar_for_each_epoch_with_its_figures() -> None:
    text = show_two_epochs(Console(file=io.StringIO(), width=160, force_terminal=True, color_system=None))

    for number in (1, 2):
        assert f"epoch {number}/2 ━━━━━━━━━━━━━━━━━━━━━━━━" in text
    assert "validation loss 0.400  accuracy 0.850" in text
