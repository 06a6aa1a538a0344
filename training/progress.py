"""What a person sees while a model trains: a bar for each epoch on a terminal, a plain line for each elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import rich.progress
from rich.console import Console

from training.run import Epoch


class Progress(Protocol):
    """Hears how the training gets on; loss and accuracy are means since the epoch began."""

    def shown(self, epochs: int, steps: int) -> contextlib.AbstractContextManager[None]:
        """The display is up inside this context, for so many epochs of so many steps."""

    def epoch_begins(self) -> None:
        """The next epoch starts."""

    def steps_done(self, steps: int, loss: float, accuracy: float) -> None:
        """So many steps of this epoch are done."""

    def epoch_ends(self, epoch: Epoch) -> None:
        """The epoch is over, and its validation too."""


def progress_on(console: Console) -> Progress:
    """The display that suits the console."""
    return BarProgress(console) if console.is_terminal else LineProgress(console)


class LineProgress:
    """A line at the end of each epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._epochs = self._done = 0

    @contextlib.contextmanager
    def shown(self, epochs: int, steps: int) -> Iterator[None]:  # noqa: ARG002
        """Needs no place on the screen."""
        self._epochs, self._done = epochs, 0
        yield

    def epoch_begins(self) -> None:
        """Says nothing yet."""

    def steps_done(self, steps: int, loss: float, accuracy: float) -> None:
        """Says nothing yet."""

    def epoch_ends(self, epoch: Epoch) -> None:
        """Prints the epoch."""
        self._done += 1
        self._console.print(
            f"epoch {self._done}/{self._epochs}  {_describe(epoch)}  {epoch.seconds:.1f} s",
            soft_wrap=True,
        )


class BarProgress:
    """A bar for each epoch, which stays, with its figures beside it."""

    def __init__(self, console: Console) -> None:
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("{task.fields[figures]}"),
            console=console,
        )
        self._bar = rich.progress.TaskID(0)
        self._epochs = self._steps = 0

    @contextlib.contextmanager
    def shown(self, epochs: int, steps: int) -> Iterator[None]:
        """Draws the bars while it lasts."""
        self._epochs, self._steps = epochs, steps
        with self._bars:
            yield

    def epoch_begins(self) -> None:
        """Adds the next bar."""
        number = len(self._bars.tasks) + 1
        self._bar = self._bars.add_task(f"epoch {number}/{self._epochs}", total=self._steps, figures="")

    def steps_done(self, steps: int, loss: float, accuracy: float) -> None:
        """Moves the bar; it is full only after the validation."""
        figures = f"loss {loss:.3f}  accuracy {accuracy:.3f}"
        self._bars.update(self._bar, completed=min(steps, self._steps - 1), figures=figures)

    def epoch_ends(self, epoch: Epoch) -> None:
        """Fills the bar."""
        self._bars.update(self._bar, completed=self._steps, figures=_describe(epoch))


def _describe(epoch: Epoch) -> str:
    return (
        f"loss {epoch.loss:.3f}  accuracy {epoch.accuracy:.3f}  "
        f"validation loss {epoch.validation_loss:.3f}  accuracy {epoch.validation_accuracy:.3f}"
    )
