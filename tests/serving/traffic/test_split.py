"""Weights by turns and by keys, over all that Hypothesis thinks of."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.traffic.settings import ShadowSettings, TrafficSettings, version_of
from serving.traffic.split import Split, of_key, turns

WEIGHTS = st.dictionaries(st.sampled_from(["stable", "canary", "7", "old"]), st.integers(0, 100), min_size=1).filter(
    lambda weights: any(weights.values())
)
KEYS = [f"user-{number}".encode() for number in range(400)]


def test_95_to_5_is_exact_in_any_twenty_requests() -> None:
    split = Split({"stable": 95, "canary": 5}, {"stable": "a", "canary": "b"}, itertools.count())
    seen = [split.pick() for _ in range(200)]
    assert all(Counter(seen[start : start + 20]) == {"a": 19, "b": 1} for start in range(180))


@given(WEIGHTS)
def test_one_round_holds_everyone_as_often_as_they_weigh(weights: dict[str, int]) -> None:
    order = turns(weights)
    counts = Counter(order)
    assert {name: counts[name] * sum(weights.values()) for name in weights} == {
        name: weight * len(order) for name, weight in weights.items()
    }


@given(WEIGHTS, st.integers(1, 300))
def test_after_any_number_of_turns_nobody_is_a_whole_turn_of_each_other_away_from_their_share(
    weights: dict[str, int], count: int
) -> None:
    order = turns(weights)
    seen = Counter(order[number % len(order)] for number in range(count))
    for name, weight in weights.items():
        assert abs(seen[name] - count * weight / sum(weights.values())) < len(weights)


@given(WEIGHTS, st.binary(max_size=40))
def test_a_key_goes_to_the_same_target_however_the_weights_are_listed(weights: dict[str, int], key: bytes) -> None:
    listed_otherwise = dict(reversed(weights.items()))
    chosen = of_key(key, weights)
    assert weights[chosen] > 0
    assert of_key(key, listed_otherwise) == chosen
    assert of_key(key, {name: 3 * weight for name, weight in weights.items()}) == chosen


@given(WEIGHTS, st.sampled_from(["stable", "canary"]), st.integers(1, 100))
def test_when_a_weight_rises_keys_only_move_to_it(weights: dict[str, int], raised: str, by: int) -> None:
    after = {**weights, raised: weights.get(raised, 0) + by}
    for key in KEYS[:50]:
        then, now = of_key(key, weights), of_key(key, after)
        assert now in {then, raised}


def test_keys_are_spread_by_weight() -> None:
    counts = Counter(of_key(key, {"stable": 75, "canary": 25}) for key in KEYS)
    assert 60 <= counts["canary"] <= 140


def test_what_is_not_there_leaves_its_weight_to_the_others() -> None:
    split = Split({"stable": 90, "canary": 5, "old": 5}, {"canary": 2, "old": 1}, itertools.count())
    assert Counter(split.pick() for _ in range(20)) == {2: 10, 1: 10}
    assert Counter(split.pick({b"x-user": key}) for key in KEYS).keys() == {1, 2}


def test_only_the_named_header_makes_a_request_stick() -> None:
    split = Split({"a": 1, "b": 1}, {"a": "a", "b": "b"}, itertools.count(), sticky_header="X-User")
    assert {split.pick({b"other": b"1", b"x-user": b"42"}) for _ in range(10)} == {split.pick({b"x-user": b"42"})}
    assert Counter(split.pick({b"other": b"1"}) for _ in range(10)) == {"a": 5, "b": 5}


def test_a_split_that_is_made_anew_goes_on_where_it_was() -> None:
    counter = itertools.count()
    seen = Counter(Split({"a": 19, "b": 1}, {"a": "a", "b": "b"}, counter).pick() for _ in range(40))
    assert seen == {"a": 38, "b": 2}


def test_the_heaviest_is_who_gets_most() -> None:
    assert Split({"a": 1, "b": 2, "c": 5}, {"a": 1, "b": 2}, itertools.count()).heaviest == 2


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"traffic": {"stable": 0}}, "expected at least one weight above 0"),
        ({"traffic": {"stable": 9_999, "canary": 2}}, "expected weights that add up to at most 10000"),
        ({"traffic": {"stable": -1}}, "greater than or equal to 0"),
        ({"traffic": {"stable": 0.5}}, "valid integer"),
        ({"traffic": {"a b": 1}}, "should match pattern"),
        ({"sticky_header": "x-user"}, "expected weights in traffic beside it"),
        ({"traffic": {"a": 1}, "sticky_header": "x user"}, "should match pattern"),
        ({"shadow": {"target": "canary", "share": 0}}, "greater than 0"),
        ({"shadow": {"target": "canary", "tolerance": float("nan")}}, "finite number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        TrafficSettings.model_validate(settings)


def test_the_targets_are_those_of_the_split_and_the_shadow() -> None:
    settings = TrafficSettings(traffic={"stable": 100, "4": 0}, shadow=ShadowSettings(target="canary"))
    assert settings.targets == {"stable", "4", "canary"}
    assert [version_of(name, {"stable": 3}) for name in ("stable", "4", "canary")] == [3, 4, None]
