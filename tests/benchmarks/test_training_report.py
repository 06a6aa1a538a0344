from __future__ import annotations

from benchmarks.machine import describe_machine
from benchmarks.training_report import OURS, PACKAGES, PLAIN, Round, as_markdown, less_accurate, medians


def found(contestant: str, seconds: float, accuracy: float, recipe: str = "mnist-dense") -> Round:
    return Round(recipe, 5, contestant, seconds, accuracy, process_seconds=seconds + 10, peak_mb=900)


def test_the_ratio_is_that_of_the_medians() -> None:
    rounds = [found(PLAIN, 30, 0.97), found(OURS, 10, 0.98), found(PLAIN, 20, 0.98), found(OURS, 90, 0.97)]

    plain, ours = medians([*rounds, found(PLAIN, 21, 0.99), found(OURS, 7, 0.985)])

    assert (plain.contestant, plain.rounds, plain.seconds, plain.accuracy) == (PLAIN, 3, 21, 0.98)
    assert (ours.contestant, ours.seconds, ours.process_seconds, ours.peak_mb) == (OURS, 10, 20, 900)
    assert (plain.times_faster, ours.times_faster) == (1, 2.1)
    assert ours.accuracy_gain == 0


def test_each_recipe_is_held_against_its_own_plain_script() -> None:
    rows = medians(
        [found(PLAIN, 10, 0.9), found(OURS, 5, 0.9), found(PLAIN, 8, 0.9, "cnn"), found(OURS, 8, 0.9, "cnn")]
    )

    assert [row.times_faster for row in rows] == [1, 2, 1, 1]


def test_more_than_half_a_point_is_less_accurate() -> None:
    rows = medians([found(PLAIN, 10, 0.900), found(OURS, 5, 0.896)])
    worse = medians([found(PLAIN, 10, 0.900), found(OURS, 5, 0.894)])

    assert less_accurate(rows) == []
    assert [row.contestant for row in less_accurate(worse)] == [OURS]


def test_the_table_names_machine_and_figures() -> None:
    rows = medians([found(PLAIN, 20, 0.9), found(OURS, 10, 0.91)])

    text = as_markdown(rows, describe_machine(PACKAGES))

    assert "load average before the start" in text
    assert "## mnist-dense, 5 epochs, 1 rounds" in text
    assert "| plain script | 20.0 |  | 0.9000 | 30.0 | 900 |" in text
    assert "| atelier | 10.0 | 2.00× | 0.9100 | 20.0 | 900 |" in text
