"""What a person sees: lines in a file, bars on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from training.progress import MAX_BARS, Plan, Progress, progress_on
from training.run import Epoch, MetricName

EPOCH = Epoch(loss=0.5, metric=0.8, validation_loss=0.4, validation_metric=0.85, seconds=1.26)
UNJUDGED = EPOCH.model_copy(update={"validation_loss": None, "validation_metric": None})


def run_epochs(
    progress: Progress, epochs: int, epoch: Epoch = EPOCH, done: int = 0, metric: MetricName = "accuracy"
) -> None:
    with progress.shown(Plan(epochs=epochs, done=done, steps=10, metric=metric)):
        for _ in range(epochs - done):
            progress.epoch_begins()
            progress.steps_done(5, 0.7, 0.75)
            progress.steps_done(10, 0.5, 0.8)
            progress.epoch_ends(epoch)


def in_file(epochs: int, epoch: Epoch = EPOCH, done: int = 0, metric: MetricName = "accuracy") -> list[str]:
    text = io.StringIO()
    run_epochs(progress_on(Console(file=text, width=40)), epochs, epoch, done, metric)
    return text.getvalue().splitlines()


def on_terminal(epochs: int, done: int = 0, width: int = 160, height: int = 25) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width, height=height, force_terminal=True, color_system=None)
    run_epochs(progress_on(console), epochs, done=done)
    return text.getvalue()


def test_a_file_gets_one_plain_line_for_each_epoch() -> None:
    assert in_file(2) == [
        f"epoch {number}/2  loss 0.500  accuracy 0.800  validation loss 0.400  accuracy 0.850  1.3 s"
        for number in (1, 2)
    ]


def test_without_validation_there_is_none_in_the_line() -> None:
    assert in_file(1, UNJUDGED) == ["epoch 1/1  loss 0.500  accuracy 0.800  1.3 s"]


def test_a_regression_has_errors() -> None:
    assert in_file(1, UNJUDGED, metric="mean_absolute_error") == ["epoch 1/1  loss 0.500  error 0.800  1.3 s"]


def test_a_resumed_training_goes_on_counting() -> None:
    assert [line.split("  ")[0] for line in in_file(5, done=3)] == ["epoch 4/5", "epoch 5/5"]


def test_of_a_great_many_epochs_only_some_have_a_line_the_first_and_the_last_among_them() -> None:
    lines = [line.split("  ")[0] for line in in_file(500)]

    assert lines[:3] == ["epoch 1/500", "epoch 20/500", "epoch 40/500"]
    assert lines[-1] == "epoch 500/500"
    assert len(lines) == 26


def test_a_terminal_gets_a_bar_for_each_epoch_with_its_figures() -> None:
    text = on_terminal(2)

    for number in (1, 2):
        assert f"epoch {number}/2 ━━━━━━━━━━━━━━━━━━━━━━━━" in text
    assert "loss 0.500  accuracy 0.800, validation 0.400  0.850" in text


def test_a_line_of_80_characters_has_the_bar_the_time_and_all_figures() -> None:
    text = on_terminal(30, width=80)

    assert "epoch 30/30 ━━━━ 0:00:00 loss 0.500  accuracy 0.800, validation 0.400  0.850" in text
    assert "…" not in text


def test_more_epochs_than_the_screen_has_lines_leave_the_last_one_in_sight() -> None:
    text = on_terminal(20, height=5)

    assert "..." not in text  # what stands below a screen that is full
    assert "epoch  1/20 ━" in text


def test_a_terminal_gets_one_bar_for_a_great_many_epochs() -> None:
    text = on_terminal(MAX_BARS + 1)

    assert f"epoch {MAX_BARS + 1}/{MAX_BARS + 1} ━━━━━━━━━━━━━━━━━━━━━━━━" in text
    assert text.rstrip().count("\n") < MAX_BARS
    assert f"epoch {MAX_BARS + 1}/{MAX_BARS + 1} ━━━━━━━━━━━━━━━━━━━━━━━━" in on_terminal(MAX_BARS + 1, done=MAX_BARS)


def test_what_is_said_appears_as_it_is_on_both() -> None:
    sentence = "epoch 3 reached accuracy=0.95: accuracy is 0.9512"
    for is_terminal in (False, True):
        text = io.StringIO()
        progress = progress_on(
            Console(file=text, width=30, force_terminal=is_terminal, color_system=None, markup=False)
        )
        with progress.shown(Plan(epochs=5, done=0, steps=10, metric="accuracy")):
            progress.say(sentence)
        assert sentence in text.getvalue()
