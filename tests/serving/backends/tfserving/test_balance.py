"""Which server is asked next: pure, so every case is a line."""

from __future__ import annotations

import pytest

from serving.backends.tfserving.balance import FIRST_REST_S, LONGEST_REST_S, Standing, choose

EVERYONE = range(3)


def standings(*in_flight: int) -> list[Standing]:
    return [Standing(in_flight=count) for count in in_flight]


def failed(now: float, times: int = 1) -> Standing:
    standing = Standing()
    for _ in range(times):
        standing.failed(now)
        now = standing.rests_until
    return standing


def test_the_server_with_the_fewest_rpcs_in_flight_is_asked() -> None:
    assert choose(standings(2, 1, 3), EVERYONE, (), 0, 0.0) == 1


def test_equals_take_turns() -> None:
    idle = standings(0, 0, 0)
    assert [choose(idle, EVERYONE, (), turn, 0.0) for turn in range(5)] == [0, 1, 2, 0, 1]


def test_only_servers_that_have_the_version_are_asked() -> None:
    assert choose(standings(0, 5, 9), {1, 2}, (), 0, 0.0) == 1
    assert choose(standings(0, 0, 0), (), (), 0, 0.0) is None


def test_a_batch_goes_to_a_server_that_it_has_not_failed_on() -> None:
    assert choose(standings(0, 7, 8), EVERYONE, {0}, 0, 0.0) == 1


def test_a_server_that_failed_is_left_alone_while_another_is_there() -> None:
    known = [failed(now=10.0), Standing(in_flight=50)]
    assert choose(known, (0, 1), (), 0, 10.0) == 1
    assert choose(known, (0,), (), 0, 10.0) == 0, "there is no other, and waiting gains nothing"


def test_after_its_rest_one_rpc_tries_it_and_an_answer_brings_it_back() -> None:
    standing = failed(now=10.0)
    later = 10.0 + FIRST_REST_S
    assert not standing.may_be_asked(later - 0.01)
    assert standing.may_be_asked(later)
    standing.asked()
    assert not standing.may_be_asked(later), "one is trying already"
    standing.ended()
    standing.answered()
    assert standing.may_be_asked(later)
    assert standing.in_flight == 0


def test_a_trial_that_is_cancelled_is_left_to_another() -> None:
    standing = failed(now=10.0)
    standing.asked()
    standing.ended()
    assert standing.may_be_asked(standing.rests_until)


def test_a_failed_trial_doubles_the_rest_up_to_a_bound() -> None:
    rests = []
    standing, now = Standing(), 100.0
    for _ in range(12):
        standing.asked()
        standing.failed(now)
        standing.ended()
        rests.append(standing.rests_until - now)
        now = standing.rests_until
    assert rests[:4] == pytest.approx([FIRST_REST_S, 2 * FIRST_REST_S, 4 * FIRST_REST_S, 8 * FIRST_REST_S])
    assert rests[-1] == LONGEST_REST_S


def test_rpcs_that_fail_together_count_once() -> None:
    standing = Standing()
    for _ in range(64):
        standing.failed(5.0)
    assert (standing.failures, standing.rests_until) == (1, 5.0 + FIRST_REST_S)
