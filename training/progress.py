"""What a person sees while a model trains: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import rich.progress
from rich.console import Console

from training.run import Epoch, MetricName

MAX_BARS = 30
"""With more epochs than this, one bar stands for all of them."""
BAR_WIDTH, MIN_BAR_WIDTH = 24, 4
BESIDE_A_BAR = 76
"""So many characters of a line are the epoch, the time and the figures."""
MAX_LINES = 50
"""With more epochs than this, only every so many have a line."""


@dataclass(frozen=True)
class Plan:
    """How long the training will be: epochs in all, those done before, steps in each, and what is measured."""

    epochs: int
    done: int
    steps: int
    metric: MetricName


class Progress(Protocol):
    """Hears how the training gets on; loss and metric are means since the epoch began."""

    def shown(self, plan: Plan) -> contextlib.AbstractContextManager[None]:
        """The display is up inside this context."""

    def epoch_begins(self) -> None:
        """The next epoch starts."""

    def steps_done(self, steps: int, loss: float, metric: float) -> None:
        """So many steps of this epoch are done."""

    def epoch_ends(self, epoch: Epoch) -> None:
        """The epoch is over, and its validation too."""

    def say(self, sentence: str) -> None:
        """Something that people should know."""


def progress_on(console: Console) -> Progress:
    """The display that suits the console."""
    return BarProgress(console) if console.is_terminal else LineProgress(console)


class LineProgress:
    """A line at the end of each epoch, or, of a great many, of some."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plan = Plan(epochs=0, done=0, steps=0, metric="accuracy")
        self._done = 0

    @contextlib.contextmanager
    def shown(self, plan: Plan) -> Iterator[None]:
        """Needs no place on the screen."""
        self._plan, self._done = plan, plan.done
        yield

    def epoch_begins(self) -> None:
        """Says nothing yet."""

    def steps_done(self, steps: int, loss: float, metric: float) -> None:
        """Says nothing yet."""

    def epoch_ends(self, epoch: Epoch) -> None:
        """Prints the epoch."""
        self._done += 1
        epochs = self._plan.epochs
        every = 1 if epochs <= MAX_LINES else epochs // (MAX_LINES // 2)
        if self._done % every == 0 or self._done in {1, epochs}:
            figures = _describe(epoch, self._plan.metric)
            self.say(f"epoch {self._done}/{epochs}  {figures}  {epoch.seconds:.1f} s")

    def say(self, sentence: str) -> None:
        """Prints it."""
        self._console.print(sentence, soft_wrap=True)


class SentencesOnly(LineProgress):
    """For a process whose epochs another one shows."""

    def epoch_ends(self, epoch: Epoch) -> None:
        """Says nothing."""


class BarProgress:
    """A bar for each epoch, which stays, with its figures beside it; or one bar for a great many epochs.

    Only one bar moves, below what is printed for good: of several, those below the screen's last line would be hidden.
    """

    def __init__(self, console: Console) -> None:
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(max(MIN_BAR_WIDTH, min(BAR_WIDTH, console.width - BESIDE_A_BAR))),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("{task.fields[figures]}"),
            console=console,
        )
        self._bar = rich.progress.TaskID(0)
        self._plan = Plan(epochs=0, done=0, steps=0, metric="accuracy")
        self._done = 0

    @contextlib.contextmanager
    def shown(self, plan: Plan) -> Iterator[None]:
        """Draws the bars while it lasts."""
        self._plan, self._done = plan, plan.done
        if self._has_one_bar:
            self._bar = self._bars.add_task("", total=plan.epochs * plan.steps, figures="")
        with self._bars:
            yield

    def epoch_begins(self) -> None:
        """Adds the next bar, or renames the one that there is."""
        title = f"epoch {self._done + 1:>{len(str(self._plan.epochs))}}/{self._plan.epochs}"
        if self._has_one_bar:
            self._bars.update(self._bar, description=title)
        else:
            self._bar = self._bars.add_task(title, total=self._plan.steps, figures="")

    def steps_done(self, steps: int, loss: float, metric: float) -> None:
        """Moves the bar; it is full only after the validation."""
        if self._has_one_bar:
            self._bars.update(self._bar, completed=self._done * self._plan.steps + steps)
        else:
            figures = f"loss {loss:.3f}  {_words(self._plan.metric)} {metric:.3f}"
            self._bars.update(self._bar, completed=min(steps, self._plan.steps - 1), figures=figures)

    def epoch_ends(self, epoch: Epoch) -> None:
        """Fills the bar, which then stays where it is."""
        self._done += 1
        completed = (self._done if self._has_one_bar else 1) * self._plan.steps
        self._bars.update(self._bar, completed=completed, figures=_describe_briefly(epoch, self._plan.metric))
        if not self._has_one_bar:
            finished = self._bars.make_tasks_table(self._bars.tasks)
            self._bars.remove_task(self._bar)
            self._bars.console.print(finished)

    def say(self, sentence: str) -> None:
        """Prints it above the bars."""
        self._bars.console.print(sentence, soft_wrap=True)

    @property
    def _has_one_bar(self) -> bool:
        return self._plan.epochs > MAX_BARS


def _describe(epoch: Epoch, metric: MetricName) -> str:
    trained = f"loss {epoch.loss:.3f}  {_words(metric)} {epoch.metric:.3f}"
    if epoch.validation_loss is None or epoch.validation_metric is None:
        return trained
    return f"{trained}  validation loss {epoch.validation_loss:.3f}  {_words(metric)} {epoch.validation_metric:.3f}"


def _describe_briefly(epoch: Epoch, metric: MetricName) -> str:
    trained = f"loss {epoch.loss:.3f}  {_words(metric)} {epoch.metric:.3f}"
    if epoch.validation_loss is None or epoch.validation_metric is None:
        return trained
    return f"{trained}, validation {epoch.validation_loss:.3f}  {epoch.validation_metric:.3f}"


def _words(metric: MetricName) -> str:
    return "error" if metric == "mean_absolute_error" else metric
