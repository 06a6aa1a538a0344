"""Labels bind to versions that answer, and move without a gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.repository.labels import bind, needed

LABELS = st.dictionaries(st.sampled_from(["stable", "canary", "old"]), st.integers(1, 5))


def test_a_label_means_the_version_that_it_names_once_that_one_answers() -> None:
    assert bind({"stable": 3}, {3}, {}) == {"stable": 3}
    assert bind({"stable": 3}, {2}, {}) == {}


def test_a_label_that_moves_goes_on_meaning_its_old_version_until_the_new_one_answers() -> None:
    assert bind({"stable": 4}, {3}, {"stable": 3}) == {"stable": 3}
    assert bind({"stable": 4}, {3, 4}, {"stable": 3}) == {"stable": 4}
    assert bind({"stable": 4}, {5}, {"stable": 3}) == {}


def test_a_label_that_is_gone_means_nothing() -> None:
    assert bind({}, {3}, {"stable": 3}) == {}


def test_labels_need_the_versions_that_they_name_and_those_that_they_still_mean() -> None:
    assert needed({"stable": 4, "canary": 5}, {"stable": 3, "gone": 1}) == {3, 4, 5}


@given(LABELS, st.frozensets(st.integers(1, 5)), LABELS)
def test_a_bound_label_always_answers_and_stays_bound(
    wanted: dict[str, int], answering: frozenset[int], before: dict[str, int]
) -> None:
    bound = bind(wanted, answering, before)

    assert set(bound.values()) <= answering
    assert bound.keys() <= wanted.keys()
    assert all(label in bound for label in wanted if before.get(label) in answering)
    assert bind(wanted, answering, bound) == bound
