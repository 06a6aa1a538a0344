"""Which figures the gate refuses, and in which words."""

from __future__ import annotations

import math

import pytest

from export.errors import WrongUseError
from export.limits import Limits, parse_allowed
from export.verdict import Violation, metric_violation, refusal, violations
from serving.bundle import Parity

FLOAT32, INT8 = Limits().of(is_int8=False), Limits().of(is_int8=True)


def figures(difference: float = 0.0, agreement: float | None = 1.0, **others: float | None) -> Parity:
    return Parity.model_construct(
        runtime="onnx",
        reference="keras",
        examples=10,
        max_abs_difference=difference,
        top1_agreement=agreement,
        **others,
    )


def figures_outside(parity: Parity, limits: Limits = Limits(), *, is_int8: bool = False) -> list[str]:  # noqa: B008 -- frozen
    found = violations(parity, limits.of(is_int8=is_int8), reference_accuracy=0.915)
    return [violation.figure for violation in found]


def test_the_bounds_themselves_are_allowed() -> None:
    assert figures_outside(figures(1e-5, 1.0)) == []
    assert figures_outside(figures(1.001e-5, 1.0)) == ["difference"]
    assert figures_outside(figures(0, 0.9999)) == ["same top class"]
    assert figures_outside(figures(0.02, 0.98), Limits(difference=0.02, agreement=0.98)) == []


def test_of_int8_only_agreement_and_accuracy_are_asked() -> None:
    assert figures_outside(figures(0.6, 0.99, accuracy=0.91), is_int8=True) == []
    assert figures_outside(figures(0.6, 0.9899, accuracy=0.91), is_int8=True) == ["same top class"]
    assert figures_outside(figures(0.6, 0.99, accuracy=0.9099), is_int8=True) == ["metric"]
    assert figures_outside(figures(0.6, 0.5, accuracy=0.9), Limits(int8_agreement=0.5, int8_accuracy_loss=0.1)) != []
    loose = Limits(int8_agreement=0.5, int8_accuracy_loss=0.1)
    assert figures_outside(figures(0.6, 0.5, accuracy=0.9), loose, is_int8=True) == []


def test_an_accuracy_that_rose_in_int8_is_no_loss() -> None:
    assert figures_outside(figures(0.6, 0.995, accuracy=0.99), is_int8=True) == []


@pytest.mark.parametrize("is_int8", [False, True])
def test_numbers_that_are_not_finite_are_refused_whatever_is_allowed(is_int8: bool) -> None:
    loose = Limits(difference=1e9, relative_difference=1e9, agreement=0, int8_agreement=0)

    assert figures_outside(figures(math.inf), loose, is_int8=is_int8) == ["difference"]


def test_the_relative_difference_is_judged_where_there_is_one() -> None:
    assert figures_outside(figures(5.0, None, max_relative_difference=1e-5)) == []
    assert figures_outside(figures(0.0, None, max_relative_difference=1.1e-5)) == ["difference"]


def test_a_refusal_names_both_runtimes_every_reason_and_the_bounds() -> None:
    found = violations(figures(0.4, 0.5), FLOAT32)

    assert [violation.bound for violation in found] == ["> 1e-05", "< 100.00%"]
    assert refusal(figures(0.4, 0.5), found) == (
        "onnx does not answer like keras: the largest difference of a score is 0.4, allowed is 1e-05; "
        "they agree on the top class of 50.0000% of the inputs, required is 100.0000%"
    )
    assert refusal(figures(), []) is None


def test_a_refused_int8_says_what_was_lost() -> None:
    parity = figures(0.3, 0.995, accuracy=0.9)

    assert refusal(parity, violations(parity, INT8, reference_accuracy=0.92)) == (
        "onnx does not answer like keras: the accuracy falls from 0.9200 to 0.9000, allowed is a loss of 0.005"
    )


def test_an_output_of_several_is_named() -> None:
    parity = figures(0.0, None, max_relative_difference=0.005, output="left")

    assert refusal(parity, violations(parity, FLOAT32)) == (
        'onnx does not answer like keras in its output "left": '
        "the largest relative difference of a prediction is 0.005, allowed is 1e-05"
    )


def test_an_accuracy_may_move_by_a_near_tie_but_not_by_more() -> None:
    assert metric_violation("onnx", "accuracy", 0.8801, 0.8800, 10_000) is None
    assert metric_violation("onnx", "accuracy", 0.9500, 0.9472, 360) is None  # one of 360
    assert metric_violation("onnx", "accuracy", 0.8700, 0.8800, 10_000) == Violation(
        "onnx",
        None,
        "metric",
        "not 0.8800",
        "the bundle's accuracy on 10,000 images is 0.8700, but the run recorded 0.8800: "
        "this is not the model that was trained",
    )


def test_the_mean_absolute_error_may_move_by_a_thousandth_but_not_by_more() -> None:
    assert metric_violation("onnx", "mean_absolute_error", 20.01, 20.0, 3) is None
    assert metric_violation("onnx", "mean_absolute_error", 0.0005, 0.0, 3) is None
    assert metric_violation("onnx", "mean_absolute_error", float("nan"), 20.0, 3) is not None
    refused = metric_violation("onnx", "mean_absolute_error", 20.5, 20.0, 3)
    assert refused is not None
    assert refused.reason == (
        "the bundle's mean absolute error on 3 examples is 20.5000, but the run recorded 20.0000: "
        "this is not the model that was trained"
    )


def test_bounds_are_loosened_by_name_and_only_those_are_on_record() -> None:
    limits = parse_allowed(["int8-agreement=0.98", "difference=1e-4", "agreement=1"])

    assert limits == Limits(int8_agreement=0.98, difference=1e-4)
    assert limits.allowed == {"int8-agreement": 0.98, "difference": 1e-4}
    assert parse_allowed([]).allowed == {}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "int9-agreement=0.98",
            "--allow knows no bound 'int9-agreement': expected NAME=VALUE with one of difference, ",
        ),
        ("agreement", "--allow agreement expects a share from 0 to 1, received ''"),
        ("agreement=99", "--allow agreement expects a share from 0 to 1, received '99'"),
        ("difference=-1", "--allow difference expects a number from 0, received '-1'"),
        ("difference=nan", "--allow difference expects a number from 0, received 'nan'"),
        ("difference=inf", "--allow difference expects a number from 0, received 'inf'"),
        ("difference=much", "--allow difference expects a number from 0, received 'much'"),
    ],
)
def test_a_bound_that_is_none_is_named(setting: str, sentence: str) -> None:
    with pytest.raises(WrongUseError) as refused:
        parse_allowed([setting])

    assert str(refused.value).startswith(sentence)
