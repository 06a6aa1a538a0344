"""The transition between versions, by its properties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.model_config import Latest, Specific
from serving.repository.transition import State, Steps, chosen, next_steps

VERSIONS = st.integers(1, 6)
STATES = st.dictionaries(
    VERSIONS, st.sampled_from([State.LOADING, State.AVAILABLE, State.UNLOADING, State.END]), max_size=6
)
SETTLED = range(1, 7)
ASPIRED = st.frozensets(VERSIONS, max_size=4)


def test_the_policy_latest_takes_the_highest_numbers() -> None:
    assert chosen(Latest(), {3, 20, 100}) == {100}
    assert chosen(Latest(latest=2), {3, 20, 100}) == {20, 100}
    assert chosen(Latest(), ()) == frozenset()


def test_the_policy_all_takes_every_version_and_specific_those_of_its_own_that_are_there() -> None:
    assert chosen("all", {3, 20, 100}) == {3, 20, 100}
    assert chosen(Specific(specific=frozenset({3, 7})), {3, 20, 100}) == {3}
    assert chosen(Specific(specific=frozenset({7})), {3}) == frozenset()


def test_the_old_version_is_unloaded_only_when_the_new_one_answers() -> None:
    assert next_steps({2}, {1: State.AVAILABLE}, SETTLED) == Steps(load=(2,), unload=())
    assert next_steps({2}, {1: State.AVAILABLE, 2: State.LOADING}, SETTLED) == Steps(load=(), unload=())
    assert next_steps({2}, {1: State.AVAILABLE, 2: State.AVAILABLE}, SETTLED) == Steps(load=(), unload=(1,))
    assert next_steps({2}, {1: State.UNLOADING, 2: State.AVAILABLE}, SETTLED) == Steps(load=(), unload=())


def test_what_is_still_being_copied_is_not_loaded_and_unloads_nothing() -> None:
    assert next_steps({7}, {1: State.AVAILABLE}, settled={1}) == Steps(load=(), unload=())


def test_without_any_aspired_version_everything_is_unloaded() -> None:
    assert next_steps((), {1: State.AVAILABLE, 2: State.AVAILABLE}, SETTLED) == Steps(load=(), unload=(1, 2))


def test_a_version_that_has_ended_is_not_loaded_again_by_itself() -> None:
    assert next_steps({1}, {1: State.END}, SETTLED) == Steps(load=(), unload=())


@given(ASPIRED, STATES, ASPIRED)
def test_no_step_leaves_a_model_without_an_answer(
    aspired: frozenset[int], states: dict[int, State], settled: frozenset[int]
) -> None:
    steps = next_steps(aspired, states, settled)

    answering = {version for version, state in states.items() if state is State.AVAILABLE}
    if aspired and answering:
        assert answering - set(steps.unload)


@given(ASPIRED, STATES, ASPIRED)
def test_steps_touch_only_what_they_may(
    aspired: frozenset[int], states: dict[int, State], settled: frozenset[int]
) -> None:
    steps = next_steps(aspired, states, settled)

    assert set(steps.load) == (aspired & settled) - states.keys()
    assert all(states[version] is State.AVAILABLE and version not in aspired for version in steps.unload)


@given(ASPIRED, STATES)
def test_once_everything_has_ended_there_is_nothing_left_to_do(
    aspired: frozenset[int], states: dict[int, State]
) -> None:
    ended = {State.LOADING: State.AVAILABLE, State.UNLOADING: State.END}
    now = dict(states)
    for _ in range(3):
        steps = next_steps(aspired, now, SETTLED)
        now.update(dict.fromkeys(steps.load, State.LOADING))
        now.update(dict.fromkeys(steps.unload, State.UNLOADING))
        now = {version: ended.get(state, state) for version, state in now.items()}

    assert next_steps(aspired, now, SETTLED) == Steps((), ())
    answering = {version for version, state in now.items() if state is State.AVAILABLE}
    if any(now[version] is State.AVAILABLE for version in aspired):
        assert answering <= aspired
