"""When a worker counts as hung."""

from __future__ import annotations

from serving.control.pulse import LOOKS, Pulse


def looks_until_lost(pulse: Pulse) -> int:
    return next(look for look in range(1, 10 * LOOKS) if pulse.is_lost())


def test_who_was_heard_once_and_then_no_more_is_lost_after_so_many_looks_and_only_once() -> None:
    pulse = Pulse()
    pulse.heard()
    assert looks_until_lost(pulse) == LOOKS + 1
    assert not any(pulse.is_lost() for _ in range(10 * LOOKS)), "it is killed once"


def test_every_sign_of_life_starts_the_count_anew() -> None:
    pulse = Pulse()
    for _ in range(5):
        pulse.heard()
        assert not any(pulse.is_lost() for _ in range(LOOKS))
    pulse.heard()
    assert looks_until_lost(pulse) == LOOKS + 1


def test_who_has_not_said_anything_yet_starts_and_may_take_its_time() -> None:
    pulse = Pulse()
    assert not any(pulse.is_lost() for _ in range(100 * LOOKS))
