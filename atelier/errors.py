"""Around a command's work: its known causes become one sentence on standard error, and an exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from atelier.console import FAILED, WRONG_USE, needs_extra, sentences, sigterm_as_ctrl_c


@contextmanager
def training_errors(interrupted: Callable[[], str]) -> Iterator[None]:
    """Of a command that trains; SIGTERM interrupts it like Ctrl-C."""
    with needs_extra("training"):
        from training.errors import TrainingError, UsageError
    statuses: dict[type[Exception], int] = {UsageError: WRONG_USE, TrainingError: FAILED}
    with needs_extra("training"), sentences(statuses, interrupted=interrupted), sigterm_as_ctrl_c():
        yield


@contextmanager
def export_errors() -> Iterator[None]:
    """Of a command that reads or writes models."""
    from export.errors import ExportError, WrongUseError
    from serving.errors import BundleError
    from training.errors import RunError, TrainingError, UsageError

    statuses = {
        WrongUseError: WRONG_USE,
        UsageError: WRONG_USE,
        RunError: WRONG_USE,
        ExportError: FAILED,
        TrainingError: FAILED,
        BundleError: FAILED,
    }
    with needs_extra("training,export"), sentences(statuses, interrupted="interrupted; nothing was published"):
        yield


@contextmanager
def load_test_errors() -> Iterator[None]:
    """Of a load test."""
    with needs_extra("loadtest"):
        from loadtest.errors import LoadTestError, TargetError, UsageError
        from loadtest.running import run_locust as _  # noqa: F401 -- what it needs, said before anything is done

    with sentences({UsageError: WRONG_USE, TargetError: WRONG_USE, LoadTestError: FAILED}, interrupted="interrupted"):
        yield
