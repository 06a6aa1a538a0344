"""Changes of labels and traffic, and how they are taken back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ConflictError
from serving.traffic.ledger import (
    MAX_CHANGES,
    SOMEBODY,
    Author,
    Ledger,
    remove_label,
    roll_back,
    set_label,
    set_traffic,
    ways_back,
)
from serving.traffic.settings import TrafficSettings

ANNE = Author("anne@desk", "2026-01-02T03:04:05+00:00")
HALF = TrafficSettings(traffic={"stable": 1, "canary": 1})
LABELS = st.sampled_from(["stable", "canary", "old"])
MOVES = st.lists(st.tuples(LABELS | st.none(), st.integers(1, 4)), max_size=12)


def ledger(**labels: int) -> Ledger:
    return Ledger(labels, None, ())


def moved(start: Ledger, moves: list[tuple[str | None, int]]) -> Ledger:
    now = start
    for label, number in moves:
        if label is None:
            now = set_traffic(now, TrafficSettings(traffic={"stable": number}), ANNE)
        else:
            now = set_label(now, label, number, ANNE)
    return now


def test_a_moved_label_is_on_record_with_who_and_when() -> None:
    after = set_label(ledger(stable=3, canary=4), "stable", 4, ANNE)
    assert after.labels == {"stable": 4, "canary": 4}
    (change,) = after.changes
    assert change.model_dump() == {
        "number": 1,
        "at": ANNE.at,
        "by": "anne@desk",
        "action": "label",
        "label": "stable",
        "before": 3,
        "after": 4,
        "undoes": None,
    }


@given(MOVES, LABELS, st.integers(1, 4))
def test_taking_everything_back_leads_to_where_it_began(
    moves: list[tuple[str | None, int]], label: str, number: int
) -> None:
    start = ledger(**{label: number})
    now = moved(start, moves)
    for _ in range(len(now.changes)):
        now = roll_back(now, None, ANNE)
    assert (now.labels, now.traffic) == (start.labels, start.traffic)
    with pytest.raises(ConflictError, match="labels and traffic: no change is on record to take back"):
        roll_back(now, None, ANNE)


@given(MOVES, LABELS)
def test_rolling_one_label_back_changes_that_label_only(moves: list[tuple[str | None, int]], label: str) -> None:
    now = moved(ledger(), [*moves, (label, 5)])
    back = roll_back(now, label, ANNE)
    before = next(change.before for change in reversed(now.changes) if change.label == label)
    assert back.labels.get(label) == before
    others = {name: version for name, version in now.labels.items() if name != label}
    assert {name: version for name, version in back.labels.items() if name != label} == others
    assert back.traffic == now.traffic
    assert back.changes[-1].undoes is not None


@given(MOVES)
def test_the_record_always_ends_with_what_is_in_force(moves: list[tuple[str | None, int]]) -> None:
    now = moved(ledger(), moves)
    for change in {change.label: change for change in now.changes}.values():
        assert now.value(change.label) == change.after
    assert [change.number for change in now.changes] == list(range(1, len(now.changes) + 1))


def test_without_a_label_whatever_was_changed_last_is_taken_back() -> None:
    now = set_traffic(set_label(ledger(stable=3), "canary", 4, ANNE), HALF, ANNE)
    once = roll_back(now, None, ANNE)
    assert (once.labels, once.traffic) == ({"stable": 3, "canary": 4}, None)
    assert roll_back(once, None, ANNE).labels == {"stable": 3}


def test_the_same_again_is_no_change() -> None:
    now = set_label(ledger(), "stable", 3, ANNE)
    assert set_label(now, "stable", 3, ANNE) == now
    assert set_traffic(now, None, ANNE) == now


def test_an_edit_by_hand_is_on_record_and_can_be_taken_back() -> None:
    now = set_label(ledger(stable=3), "stable", 4, ANNE)
    by_hand = now._replace(labels={"stable": 7})
    after = set_label(by_hand, "canary", 8, ANNE)
    assert [(change.action, change.by, change.before, change.after) for change in after.changes[1:]] == [
        ("edit", SOMEBODY, 4, 7),
        ("label", ANNE.by, None, 8),
    ]
    assert roll_back(by_hand, "stable", ANNE).labels == {"stable": 4}


def test_labels_that_were_never_changed_here_are_no_edit() -> None:
    now = set_label(ledger(stable=3), "canary", 4, ANNE)
    assert [change.label for change in now.changes] == ["canary"]
    with pytest.raises(ConflictError, match="label stable: no change is on record to take back"):
        roll_back(now, "stable", ANNE)


@pytest.mark.parametrize("start", [ledger(stable=5), ledger()])
def test_who_expects_another_version_changes_nothing(start: Ledger) -> None:
    found = "version 5" if start.labels else "no version"
    with pytest.raises(ConflictError, match=f"label stable: expected it to name version 3, it names {found}"):
        set_label(start, "stable", 4, ANNE, expected=3)
    with pytest.raises(ConflictError, match="expected it to name version 3"):
        roll_back(set_label(start, "stable", 4, ANNE), "stable", ANNE, expected=3)


def test_a_label_can_be_removed_and_comes_back() -> None:
    removed = remove_label(ledger(stable=3, canary=4), "canary", ANNE)
    assert removed.labels == {"stable": 3}
    assert roll_back(removed, None, ANNE).labels == {"stable": 3, "canary": 4}
    with pytest.raises(ConflictError, match="label canary: there is no such label to remove"):
        remove_label(removed, "canary", ANNE)


def test_the_record_is_bounded() -> None:
    now = moved(ledger(), [("stable", 1 + number % 2) for number in range(MAX_CHANGES + 20)])
    assert len(now.changes) == MAX_CHANGES
    assert now.changes[-1].number == MAX_CHANGES + 20


def test_the_way_back_of_a_label_is_what_rolling_it_back_leads_to() -> None:
    now = moved(ledger(stable=3), [("stable", 4), ("canary", 5), (None, 1), ("stable", 6)])
    assert ways_back(now) == {"stable": 4}
    assert ways_back(roll_back(now, "stable", ANNE)) == {"stable": 3}
