"""Finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.run_records import epoch, metrics, written_run
from training.comparison import compare_runs
from training.comparison_picture import draw_comparison
from training.errors import UsageError
from training.recipes import find_recipe
from training.run import Run, RunMetrics

DENSE = find_recipe("mnist-dense")


def run(path: Path, figures: RunMetrics | None = None, settings: dict[str, Any] | None = None, **more: Any) -> Run:
    return written_run(path, DENSE.with_settings(settings or {}), figures, **more)


def test_only_what_differs_is_listed(tmp_path: Path) -> None:
    comparison = compare_runs(
        [run(tmp_path / "narrow", settings={"units": "128"}), run(tmp_path / "wide", settings={"epochs": "9"})]
    )

    assert comparison.runs == ("narrow", "wide")
    assert comparison.facts == {}
    assert comparison.settings == {"epochs": (5, 9), "layers": ([128], [512])}
    assert comparison.warnings == ()


def test_figures_are_listed_whether_they_differ_or_not(tmp_path: Path) -> None:
    comparison = compare_runs(
        [
            run(tmp_path / "one", metrics(0.9)),
            run(tmp_path / "other", metrics(0.95, parameters=5), epochs=(epoch(0.3), epoch(0.2), epoch(0.4))),
        ]
    )

    assert comparison.figures == {
        "evaluated on": ("10,000 test", "10,000 test"),
        "accuracy": (0.9, 0.95),
        "loss": (0.3, 0.3),
        "parameters": (1000, 5),
        "seconds": (10.0, 10.0),
        "epochs trained": (2, 3),
        "best epoch": (2, 2),
    }


def test_a_difference_beyond_chance_is_called_so_with_its_interval(tmp_path: Path) -> None:
    comparison = compare_runs([run(tmp_path / "one", metrics(0.9)), run(tmp_path / "other", metrics(0.92))])

    assert comparison.verdicts == (
        "other has 2.00 points more accuracy than one: larger than chance (95 % interval +1.21 to +2.79 points).",
    )


def test_a_difference_within_chance_is_called_none(tmp_path: Path) -> None:
    few = metrics(0.9, examples=360)
    comparison = compare_runs([run(tmp_path / "one", few), run(tmp_path / "other", metrics(0.88, examples=360))])

    assert comparison.verdicts == (
        "other has 2.00 points less accuracy than one: no clear difference (95 % interval -6.63 to +2.61 points).",
    )


def test_each_further_run_is_held_against_the_first(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, metrics(value)) for name, value in (("a", 0.9), ("b", 0.8), ("c", 0.7))]

    verdicts = compare_runs(runs).verdicts

    assert [verdict.split(":")[0] for verdict in verdicts] == [
        "b has 10.00 points less accuracy than a",
        "c has 20.00 points less accuracy than a",
    ]


@pytest.mark.parametrize(
    ("figures", "config", "warning"),
    [
        ({}, {"dataset_sha256": "b" * 64}, "one and other saw different data, as its checksums say"),
        (
            {},
            {"dataset": "fashion-mnist"},
            "one and other were trained on different data sets, mnist and fashion-mnist",
        ),
        ({"evaluated_on": "validation"}, {}, "one and other were evaluated on different splits, test and validation"),
        ({"metric": "mean_absolute_error"}, {}, "one and other are judged by different metrics"),
        ({"examples": 5000}, {}, "one and other were evaluated on different numbers of examples"),
    ],
)
def test_figures_that_cannot_be_compared_are_not(
    figures: dict[str, Any], config: dict[str, Any], warning: str, tmp_path: Path
) -> None:
    comparison = compare_runs([run(tmp_path / "one"), run(tmp_path / "other", metrics(0.5, **figures), **config)])

    assert comparison.warnings == (f"{warning}: their figures cannot be compared.",)
    assert comparison.verdicts == ()


def test_other_data_is_listed_among_the_facts(tmp_path: Path) -> None:
    comparison = compare_runs([run(tmp_path / "one"), run(tmp_path / "other", dataset_sha256="b" * 64)])

    assert comparison.facts == {"data checksum": ("a" * 12, "b" * 12)}


def test_the_same_data_in_another_image_size_is_compared(tmp_path: Path) -> None:
    small = find_recipe("cats-vs-dogs").with_settings({"image_size": 64})
    runs = [
        written_run(tmp_path / "large", find_recipe("cats-vs-dogs")),
        written_run(tmp_path / "small", small, dataset_sha256="b" * 64),
    ]

    comparison = compare_runs(runs)

    assert comparison.facts["image"] == ("150×150 rgb", "64×64 rgb")
    assert comparison.warnings == ()


def test_a_setting_that_one_recipe_lacks_is_none_there(tmp_path: Path) -> None:
    runs = [run(tmp_path / "dense"), written_run(tmp_path / "deep", find_recipe("celsius-deep"))]

    assert compare_runs(runs).settings["normalize"] == (True, None)


def test_mean_absolute_errors_are_told_without_a_claim_about_chance(tmp_path: Path) -> None:
    celsius = find_recipe("celsius")
    runs = [
        written_run(tmp_path / name, celsius, metrics(value, metric="mean_absolute_error", examples=3))
        for name, value in (("one", 2.5), ("other", 0.25))
    ]

    assert compare_runs(runs).verdicts == (
        (
            "other has a mean absolute error of 0.25, one of 2.5; whether that is more than chance cannot be told "
            "from it."
        ),
    )


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    comparison = compare_runs([run(tmp_path / "a" / "run"), run(tmp_path / "b" / "run")])

    assert comparison.runs == (str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"))


def test_fewer_than_two_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected at least two runs to compare, received 1"):
        compare_runs([run(tmp_path / "one")])


def test_a_run_against_itself_is_refused(tmp_path: Path) -> None:
    one = run(tmp_path / "one")

    with pytest.raises(UsageError, match="was given twice; expected different runs"):
        compare_runs([one, one])


@pytest.mark.parametrize("validated", [True, False])
def test_curves_of_different_lengths_share_a_picture(validated: bool, tmp_path: Path) -> None:
    runs = [
        run(tmp_path / "short", epochs=(epoch(0.5, validated=validated),)),
        run(tmp_path / "long", epochs=tuple(epoch(1 / n, validated=True) for n in range(2, 40))),
    ]

    draw_comparison(runs, ("short", "long"), tmp_path / "compare.png")

    with Image.open(tmp_path / "compare.png") as picture:
        assert picture.width > picture.height


def test_a_picture_takes_whatever_name_a_run_has(tmp_path: Path) -> None:
    names = ("_a$b_{$", "日本語", "a\nb")
    runs = [run(tmp_path / str(index)) for index, _ in enumerate(names)]

    draw_comparison(runs, names, tmp_path / "compare.png")
    draw_comparison(runs[:1], ("_a",), tmp_path / "a.png")
    draw_comparison(runs[:1], ("_b",), tmp_path / "b.png")

    assert (tmp_path / "compare.png").is_file()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes(), "the names are not shown"
