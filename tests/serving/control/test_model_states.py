"""A version's state in all workers together."""

from __future__ import annotations

import pytest

from serving.control.model_states import combined
from serving.control.readiness import VersionReport
from serving.repository.records import VersionStatus
from serving.repository.transition import State

START, LOADING, AVAILABLE = State.START, State.LOADING, State.AVAILABLE
UNLOADING, END = State.UNLOADING, State.END


def seen(state: State | None, error: str | None = None) -> VersionReport | None:
    return None if state is None else VersionReport("digits", 3, state, error)


@pytest.mark.parametrize(
    ("own", "others", "together"),
    [
        (AVAILABLE, [], AVAILABLE),
        (AVAILABLE, [AVAILABLE, AVAILABLE], AVAILABLE),
        (AVAILABLE, [AVAILABLE, LOADING], LOADING),
        (LOADING, [AVAILABLE], LOADING),
        (AVAILABLE, [None], START),
        (AVAILABLE, [None, LOADING], START),
        (LOADING, [None], LOADING),
        (AVAILABLE, [UNLOADING], UNLOADING),
        (UNLOADING, [END], UNLOADING),
        (END, [None], END),
        (END, [END], END),
    ],
)
def test_it_is_available_once_every_worker_answers(own: State, others: list[State | None], together: State) -> None:
    assert combined(VersionStatus(3, own, None), map(seen, others)) == (3, together, None)


def test_a_worker_that_failed_to_load_it_counts_most() -> None:
    own = VersionStatus(3, AVAILABLE, None)
    assert combined(own, [seen(LOADING), seen(END, "no memory")]) == (3, END, "no memory")


def test_a_version_that_answers_as_before_says_why_its_new_files_failed() -> None:
    own = VersionStatus(3, AVAILABLE, None)
    assert combined(own, [seen(AVAILABLE, "labels.txt is missing")]) == (3, AVAILABLE, "labels.txt is missing")
