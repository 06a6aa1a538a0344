"""What is said of a sweep's figures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.run_records import metrics
from training.run import RunMetrics
from training.sweeps.observation import observe
from training.sweeps.record import Result


def results(axes: Mapping[str, list[Any]], figures: Callable[..., RunMetrics | None]) -> tuple[Result, ...]:
    """A point for each combination; those without figures have failed."""
    found = []
    for combination in itertools.product(*axes.values()):
        settings = dict(zip(axes, combination, strict=True))
        given = figures(**settings)
        failure = None if given else "the loss became nan"
        found.append(Result(folder=str(settings), settings=settings, metrics=given, failure=failure))
    return tuple(found)


AXES = {"units": [128, 1024], "normalize": [True, False]}


def test_effects_are_told_from_the_largest_to_the_smallest_with_what_they_cost() -> None:
    def figures(units: int, normalize: bool) -> RunMetrics:
        return metrics(0.85 + 0.03 * normalize + 0.015 * (units == 1024), seconds=10.0 if units == 128 else 31.0)

    said = observe(results(AXES, figures))

    assert said == (
        "The best of 4 is units=1024 normalize=true with accuracy 0.8950.",
        (
            "The largest effect has normalize false → true: accuracy 0.8575 → 0.8875 on average (+3.0 points), "
            "in about the same time."
        ),
        "units 128 → 1024: accuracy 0.8650 → 0.8800 on average (+1.5 points), taking 3.1 times as long.",
        "Chance means that of 10,000 test examples at 95 %; another seed may change as much, and was not tried.",
        "The best was chosen by the test split itself, so its figure flatters it a little.",
    )


def test_a_difference_that_chance_explains_is_called_none() -> None:
    said = observe(results({"epochs": [5, 15]}, lambda epochs: metrics(0.87 + epochs / 5000)))

    assert said[0] == "The best of 2 is epochs=15 with accuracy 0.8730; 1 of the others is within chance of it."
    assert said[1] == (
        "epochs makes no clear difference: accuracy 0.8710 to 0.8730, and chance alone makes up to 0.9 points."
    )


def test_the_same_difference_is_clear_on_more_examples() -> None:
    said = observe(results({"epochs": [5, 15]}, lambda epochs: metrics(0.87 + epochs / 5000, examples=1_000_000)))

    assert said[1] == "epochs 5 → 15: accuracy 0.8710 → 0.8730 (+0.2 points), in about the same time."


def test_the_best_value_may_lie_in_the_middle() -> None:
    accuracy = {0.1: 0.5, 0.01: 0.9, 0.001: 0.8}
    said = observe(
        results({"learning_rate": [0.1, 0.01, 0.001]}, lambda learning_rate: metrics(accuracy[learning_rate]))
    )

    assert said[1].startswith("learning_rate 0.1 → 0.01: accuracy 0.5000 → 0.9000 (+40.0 points)")


def test_a_smaller_mean_absolute_error_is_better_and_chance_is_not_claimed() -> None:
    def figures(epochs: int) -> RunMetrics:
        return metrics(3.0 if epochs == 5 else 0.25, metric="mean_absolute_error", examples=3)

    said = observe(results({"epochs": [5, 500]}, figures))

    assert said[0] == "The best of 2 is epochs=500 with mean absolute error 0.25."
    assert said[1] == "epochs 5 → 500: mean absolute error 3 → 0.25 (−2.75), in about the same time."
    assert said[2] == "How much of this is chance is not known: each point is one training with one seed."


def test_seeds_are_repeats_and_what_they_change_counts_as_chance() -> None:
    def figures(units: int, seed: int) -> RunMetrics:
        return metrics(0.87 + 0.012 * (units == 1024) + 0.015 * seed)

    said = observe(results({"units": [128, 1024], "seed": [0, 1]}, figures))

    assert said[1] == (
        "units makes no clear difference: accuracy 0.8775 to 0.8895 on average, "
        "and chance alone makes up to 1.5 points."
    )
    assert said[2] == "Between seeds, one point's accuracy differs by up to 1.5 points."
    assert said[3] == "Chance means that of 10,000 test examples at 95 %."


def test_effects_are_compared_over_the_points_that_finished_for_all_values() -> None:
    def figures(units: int, normalize: bool) -> RunMetrics | None:
        if units == 128 and not normalize:
            return None
        return metrics(0.9 if normalize else 0.5)

    said = observe(results(AXES, figures))

    assert said[1].startswith("The largest effect has normalize false → true: accuracy 0.5000 → 0.9000 (+40.0 points)")
    assert said[2].startswith("units makes no clear difference: accuracy 0.9000 to 0.9000, and")
    assert said[3] == "1 of 4 points failed and is left out."


def test_an_axis_of_which_only_one_value_finished_cannot_be_judged() -> None:
    said = observe(results(AXES, lambda units, normalize: metrics(0.9) if normalize else None))

    assert "normalize cannot be judged: no combination of the others finished for all its values." in said
    assert "2 of 4 points failed and are left out." in said


def test_a_single_point_is_told_without_comparison() -> None:
    assert observe(results({"units": [128]}, lambda units: metrics(0.9))) == ("units=128 reaches accuracy 0.9000.",)


def test_lists_of_layers_are_told_as_the_grid_has_them() -> None:
    said = observe(results({"layers": [[512, 256], [16]]}, lambda layers: metrics(0.98 if len(layers) > 1 else 0.9)))

    assert said[1].startswith("layers 16 → 512+256: accuracy 0.9000 → 0.9800")


def test_times_of_trainings_that_mostly_start_up_are_not_compared() -> None:
    said = observe(results({"epochs": [2, 5]}, lambda epochs: metrics(0.5 + epochs / 50, seconds=float(epochs))))

    assert said[1] == "epochs 2 → 5: accuracy 0.5400 → 0.6000 (+6.0 points)."
