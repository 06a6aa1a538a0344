"""Who goes next: fair shares for clients and classes, in order within each, by their properties."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.entry import Entry, bytes_of
from serving.batching.queue import FairQueue
from serving.batching.terms import Priority, Terms

HIGH, LOW = Priority.HIGH, Priority.LOW
SHARE = 0.1


@pytest.fixture(autouse=True)
def loop() -> Any:
    """Futures belong to a loop; nothing runs on it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def entry(client: str = "", rows: int = 1, priority: Priority = HIGH, width: int = 1) -> Entry:
    inputs = {"x": np.zeros((rows, width))}
    answer = asyncio.get_event_loop_policy().get_event_loop().create_future()
    return Entry(inputs, rows, bytes_of(inputs), Terms(None, priority, client), 0.0, answer)


def filled(*entries: Entry) -> FairQueue:
    queue = FairQueue(SHARE)
    for one in entries:
        queue.push(one)
    return queue


def clients_of(batch: list[Entry]) -> str:
    return "".join(one.terms.client for one in batch)


ENTRIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.sampled_from([HIGH, LOW]), st.integers(1, 2)), max_size=40
)


@settings(max_examples=300)
@given(ENTRIES, st.integers(1, 8), st.sets(st.integers(0, 39)))
def test_everything_leaves_once_in_order_of_its_client_and_no_batch_is_too_large_or_mixed(
    made: list[tuple[str, int, Priority, int]], max_rows: int, gone: set[int]
) -> None:
    entries = [entry(client, rows, priority, width) for client, rows, priority, width in made]
    queue = filled(*entries)
    assert queue.rows == sum(one.rows for one in entries)
    for index, one in enumerate(entries):
        if index in gone:
            one.answer.cancel()
            queue.leave(one)
    batches = []
    while batch := queue.take(max_rows):
        batches.append(batch)
        assert len({one.key for one in batch}) == 1
        assert sum(one.rows for one in batch) <= max_rows or len(batch) == 1

    alive = [one for index, one in enumerate(entries) if index not in gone]
    left = [one for batch in batches for one in batch]
    assert Counter(map(id, left)) == Counter(map(id, alive))
    order = {id(one): place for place, one in enumerate(entries)}
    places = defaultdict(list)
    for one in left:
        places[one.terms.client, one.terms.priority].append(order[id(one)])
    assert all(seen == sorted(seen) for seen in places.values())
    assert (queue.rows, queue.size_bytes) == (0, 0)


@settings(max_examples=200)
@given(st.lists(st.integers(1, 5), min_size=30, max_size=40), st.lists(st.integers(1, 5), min_size=30, max_size=40))
def test_of_two_clients_that_wait_neither_is_more_than_one_request_ahead(left: list[int], right: list[int]) -> None:
    queue = filled(*(entry("a", rows) for rows in left), *(entry("b", rows) for rows in right))
    had = Counter({"a": 0, "b": 0})
    for _ in range(30):
        for one in queue.take(1):
            had[one.terms.client] += one.rows
        assert abs(had["a"] - had["b"]) <= 5


def test_one_clients_requests_leave_first_come_first_served() -> None:
    entries = [entry() for _ in range(5)]
    queue = filled(*entries)
    assert queue.take(3) == entries[:3]
    assert queue.take(3) == entries[3:]
    assert queue.take(3) == []


def test_a_client_that_comes_late_does_not_wait_for_the_one_that_came_in_masses() -> None:
    queue = filled(*(entry("a") for _ in range(50)))
    queue.take(10)
    queue.push(entry("b"))
    queue.push(entry("b"))
    assert clients_of(queue.take(4)).count("b") == 2


def test_a_client_that_was_away_has_saved_nothing_up() -> None:
    queue = filled(*(entry("a") for _ in range(50)), entry("b"))
    queue.take(20)
    for _ in range(20):
        queue.push(entry("b"))
    assert clients_of(queue.take(8)).count("b") in {4, 5}


def test_a_client_that_leaves_and_comes_back_pays_for_what_it_had() -> None:
    queue = filled(*(entry("a") for _ in range(50)), entry("b", rows=8))
    queue.take(12)
    queue.push(entry("b"))
    assert clients_of(queue.take(4)) == "aaaa"


def test_high_goes_first_and_low_fills_what_room_is_left() -> None:
    queue = filled(*(entry("l", priority=LOW) for _ in range(5)), entry("h"), entry("h"))
    assert clients_of(queue.take(4)) == "hhll"


def test_low_gets_its_share_however_much_of_high_waits() -> None:
    queue = filled(*(entry("l", priority=LOW) for _ in range(40)), *(entry("h") for _ in range(400)))
    left = "".join(clients_of(queue.take(10)) for _ in range(20))
    assert left.count("l") == pytest.approx(20, abs=1)
    assert max(map(len, left.split("l"))) <= 1 / SHARE


@settings(max_examples=200)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=30), st.floats(0.05, 0.5))
def test_a_low_request_never_waits_for_more_than_its_shares_worth_of_rows(sizes: list[int], share: float) -> None:
    queue = FairQueue(share)
    low = [entry(rows=rows, priority=LOW) for rows in sizes]
    for one in low:
        queue.push(one)
    run = before = 0
    while low[-1].waiting:
        while queue.rows < 200:
            queue.push(entry())
        for one in queue.take(8):
            run += one.rows
            before += one.rows if one.terms.priority is HIGH else 0
    assert before <= sum(sizes) * (1 / share - 1) + 8


def test_requests_that_run_alone_go_first_and_share_no_batch() -> None:
    waits = entry()
    queue = filled(waits)
    again = [entry(), entry()]
    queue.push_alone(again)
    assert queue.rows == 3
    assert [queue.take(8), queue.take(8), queue.take(8)] == [[again[0]], [again[1]], [waits]]


def test_room_is_made_by_the_newest_of_the_client_with_the_most_rows() -> None:
    greedy = [entry("a") for _ in range(10)]
    queue = filled(*greedy, entry("b"))
    leaving = queue.giving_way(Terms(client="c"), 2, lambda rows, _: rows >= 2)
    assert leaving == [greedy[9], greedy[8]]


def test_nobody_gives_way_to_a_client_that_would_then_have_more() -> None:
    queue = filled(*(entry("a") for _ in range(4)), *(entry("b") for _ in range(3)))
    assert queue.giving_way(Terms(client="b"), 1, lambda rows, _: rows >= 1) == []
    assert queue.giving_way(Terms(client="a"), 1, lambda rows, _: rows >= 1) == []


def test_low_gives_way_to_high_and_not_the_other_way_round() -> None:
    low = entry("a", priority=LOW)
    queue = filled(low, *(entry("b") for _ in range(9)))
    assert queue.giving_way(Terms(client="b"), 1, lambda rows, _: rows >= 1) == [low]
    assert queue.giving_way(Terms(None, LOW, "c"), 1, lambda rows, _: rows >= 1) == []
    assert queue.giving_way(Terms(client="b"), 1, lambda rows, _: rows >= 1, among_equals=True) == []


def test_rows_ahead_count_of_each_client_only_what_its_turns_let_through() -> None:
    queue = filled(*(entry("a") for _ in range(100)), *(entry("b") for _ in range(3)))
    assert queue.rows_ahead(HIGH) == 103
    assert queue.rows_ahead_of(Terms(client="c"), 2) == 4
    assert queue.rows_ahead_of(Terms(client="b"), 1) == 3 + 4


@settings(max_examples=200)
@given(ENTRIES, st.sampled_from("abcd"), st.integers(1, 4))
def test_no_more_rows_go_ahead_than_was_said(
    made: list[tuple[str, int, Priority, int]], client: str, rows: int
) -> None:
    queue = filled(*(entry(name, size, HIGH) for name, size, _, _ in made))
    said = queue.rows_ahead_of(Terms(client=client), rows)
    mine = entry(client, rows)
    queue.push(mine)
    ahead = 0
    while mine.waiting:
        ahead += sum(one.rows for one in queue.take(1) if one is not mine)
    largest = 4
    assert ahead <= said + largest * 3


def test_clients_that_come_once_are_not_remembered_for_ever() -> None:
    queue = filled(entry("stays"))
    for number in range(5000):
        queue.push(entry(f"client {number}"))
        queue.take(1)
        queue.push(entry("stays"))
    assert len(queue._high._flows) < 5000
