"""When a gateway of several workers is ready."""

from __future__ import annotations

import pytest

from serving.control.readiness import Report, all_answer_for, is_ready, not_ready

DIGITS = Report([], ["digits"])
LOADING = Report(["clothes: loading"], ["digits"])
BOTH = Report([], ["clothes", "digits"])


@pytest.mark.parametrize(
    ("own", "others", "reasons"),
    [
        (DIGITS, {}, []),
        (LOADING, {}, ["clothes: loading"]),
        (DIGITS, {2: DIGITS, 3: DIGITS}, []),
        (DIGITS, {2: None}, ["worker 2 is starting"]),
        (DIGITS, {2: LOADING, 3: None}, ["worker 2: clothes: loading", "worker 3 is starting"]),
        (LOADING, {2: LOADING}, ["clothes: loading"]),
        (LOADING, {2: BOTH}, ["clothes: loading"]),
        (BOTH, {2: DIGITS}, ["worker 2: clothes: loading"]),
        (DIGITS, {2: BOTH}, ["worker 2: clothes: loading"]),
    ],
)
def test_the_reasons_of_all_workers_count(own: Report, others: dict[int, Report | None], reasons: list[str]) -> None:
    assert not_ready(own, others) == reasons
    assert is_ready({1: own, **others}) == (not reasons)


def test_without_any_worker_it_is_not_ready() -> None:
    assert not is_ready({})
    assert not is_ready({1: None})


def test_a_model_answers_when_every_worker_answers_for_it() -> None:
    assert all_answer_for("digits", [DIGITS, BOTH])
    assert not all_answer_for("clothes", [DIGITS, BOTH])
    assert not all_answer_for("digits", [DIGITS, None])
    assert all_answer_for("digits", [])
