"""Signals are heeded between steps, not in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from training.interruption import interrupts_between_steps


@pytest.fixture(autouse=True)
def sigterm_interrupts_too() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_it_is_asked_for(number: signal.Signals) -> None:
    steps = []

    def work() -> None:
        with interrupts_between_steps() as heed:
            heed()
            signal.raise_signal(number)
            steps.append("the step that was under way")
            heed()
            steps.append("the next step")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == ["the step that was under way"]


def test_a_signal_that_nobody_asked_for_acts_when_the_work_is_done() -> None:
    steps = []

    def work() -> None:
        with interrupts_between_steps():
            signal.raise_signal(signal.SIGINT)
            steps.append("all")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == ["all"]


def test_a_second_signal_acts_at_once() -> None:
    steps = []

    def work() -> None:
        with interrupts_between_steps():
            signal.raise_signal(signal.SIGTERM)
            steps.append("one")
            signal.raise_signal(signal.SIGINT)
            steps.append("two")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == ["one"]


def test_a_failure_of_the_work_is_not_hidden_by_a_signal() -> None:
    def work() -> None:
        with interrupts_between_steps():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("the loss became nan")

    with pytest.raises(ValueError, match="the loss became nan"):
        work()


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    with interrupts_between_steps() as heed:
        heed()
        assert signal.getsignal(signal.SIGTERM) not in before

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_python_does_not_handle_is_left_alone() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    with interrupts_between_steps():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_another_thread_than_the_main_one_hears_no_signals() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with interrupts_between_steps() as heed:
                heed()
        except BaseException as error:  # noqa: BLE001 - for the main thread
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert failures == []


def test_a_signal_acts_once() -> None:
    acted: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: acted.append(number))

    with interrupts_between_steps() as heed:
        signal.raise_signal(signal.SIGTERM)
        heed()
        heed()

    assert acted == [signal.SIGTERM]
