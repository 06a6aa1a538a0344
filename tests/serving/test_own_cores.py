"""How cores are divided among workers, and within one."""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys

import pytest

from serving.own_cores import CoreSplit, OwnCoresError, split_cores, split_own_cores

ALL = os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("cores", "workers", "parts"),
    [
        ([0, 1], 1, [({0}, {1})]),
        ([7, 3, 5], 1, [({3}, {5, 7})]),
        (range(7), 2, [({0}, {1, 2}), ({3}, {4, 5, 6})]),
        (range(8), 1, [({0, 1}, {2, 3, 4, 5, 6, 7})]),
        (range(4), 2, [({0}, {1}), ({2}, {3})]),
        (range(9), 2, [({0, 1}, {2, 3}), ({4, 5}, {6, 7, 8})]),
        ({64, 65, 2, 3}, 2, [({2}, {3}), ({64}, {65})]),
    ],
)
def test_each_worker_has_cores_for_connections_and_others(
    cores: list[int], workers: int, parts: list[tuple[set[int], set[int]]]
) -> None:
    assert split_cores(cores, workers) == [CoreSplit(frozenset(few), frozenset(rest)) for few, rest in parts]


@pytest.mark.parametrize("workers", range(1, 9))
def test_every_core_belongs_to_one_worker(workers: int) -> None:
    parts = [part for split in split_cores(range(17), workers) for part in split]
    assert sorted(core for part in parts for core in part) == list(range(17))
    assert all(parts)


@pytest.mark.parametrize(
    ("cores", "workers", "who"), [([0], 1, "the worker, received 1"), ([0, 1, 2], 2, "each of 2 workers, received 3")]
)
def test_with_fewer_than_two_for_each_it_says_so(cores: list[int], workers: int, who: str) -> None:
    with pytest.raises(OwnCoresError, match=f"^expected at least 2 cores for {who}$"):
        split_cores(cores, workers)


def test_cores_that_a_container_only_has_a_part_of_are_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = len(ALL) - 0.5
    monkeypatch.setattr("serving.own_cores.cpu_limit", lambda: limit)
    with pytest.raises(OwnCoresError, match=rf"^expected cores .*, received the time of {limit:g} on {len(ALL)}$"):
        split_own_cores(1)


def test_who_may_not_choose_cores_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("serving.own_cores.cpu_limit", lambda: math.inf)
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with pytest.raises(OwnCoresError, match=r"^expected to be allowed .*, received: Operation not permitted$"):
        split_own_cores(1)


def test_a_worker_is_told_its_cores_in_its_environment() -> None:
    split = CoreSplit(frozenset({0, 64}), frozenset({1, 2, 65}))
    assert CoreSplit.of_text(split.to_text()) == split


def test_a_thread_stays_where_it_is_when_its_cores_are_gone() -> None:
    """As after a container was given others while it runs."""
    CoreSplit(frozenset({4000}), frozenset({4001})).spread()
    assert os.sched_getaffinity(0) == ALL


def test_a_process_that_has_ended_needs_no_cores() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    CoreSplit(frozenset(ALL), frozenset(ALL)).keep_connections(process.pid)


@pytest.mark.skipif(len(ALL) < 2, reason="needs two cores")
def test_a_process_keeps_to_its_cores_with_what_it_starts_but_what_is_spread() -> None:
    code = """
import os, threading
from serving.own_cores import split_cores

def cores_of_a_thread(before):
    found = []
    thread = threading.Thread(target=lambda: (before(), found.append(os.sched_getaffinity(0))))
    thread.start()
    thread.join()
    return found[0]

(split,) = split_cores(os.sched_getaffinity(0), 1)
split.keep_others()
assert os.sched_getaffinity(0) == split.others
assert cores_of_a_thread(lambda: None) == split.others
assert cores_of_a_thread(split.join_connections) == split.connections
assert cores_of_a_thread(split.spread) == split.connections | split.others
"""
    subprocess.run([sys.executable, "-c", code], check=True)
