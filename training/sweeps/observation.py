"""What a sweep showed, in sentences; careful, for each point is mostly one training with one seed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pydantic import JsonValue

from training.chance import difference_interval, is_clear
from training.run import RunMetrics
from training.sweeps.grid import describe, value_text
from training.sweeps.record import LOWER_IS_BETTER, Result, best

SEED = "seed"
"""An axis of seeds repeats the others' points and is no effect of its own."""
LARGEST = "The largest effect has "
SAME_TIME = 1.15
"""Times that differ by less than this factor are called the same."""
MIN_COMPARED_S = 10.0
"""Shorter trainings mostly start up; their times say little and are not compared."""


@dataclass(frozen=True)
class _Finished:
    settings: Mapping[str, JsonValue]
    metrics: RunMetrics


@dataclass(frozen=True)
class _Effect:
    """From an axis' worst value to its best one, each averaged over the same points of the other axes."""

    axis: str
    worst: JsonValue
    best: JsonValue
    worst_mean: float
    best_mean: float
    times_as_long: float | None
    """None where the trainings are too short to tell."""
    is_averaged: bool

    @property
    def size(self) -> float:
        return abs(self.best_mean - self.worst_mean)


def observe(results: tuple[Result, ...]) -> tuple[str, ...]:
    """The best point, each axis' effect from the largest to the smallest, and how far to trust them.

    Effects are compared over the points of the other axes that finished for all of the axis' values. An accuracy's
    difference is called clear when it is larger than the 95 % chance of the examples it was counted on, and larger than
    what seeds change, where the grid has several.
    """
    finished = [_Finished(result.settings, result.metrics) for result in results if result.metrics is not None]
    failed = sum(result.failure is not None for result in results)
    failures = (
        ()
        if not failed
        else (f"{failed} of {len(results)} points failed and {'is' if failed == 1 else 'are'} left out.",)
    )
    if not finished:
        return ("No point finished.",)
    varying = [axis for axis in finished[0].settings if len({_key(result.settings[axis]) for result in results}) > 1]
    axes = [axis for axis in varying if axis != SEED]
    spread = _spread_over_seeds(finished) if SEED in varying else None
    found = [(axis, _effect(finished, axis, [_key(r.settings[axis]) for r in results])) for axis in axes]
    effects = sorted((effect for _, effect in found if effect), key=lambda effect: -effect.size)
    unknown = tuple(
        f"{axis} cannot be judged: no combination of the others finished for all its values."
        for axis, effect in found
        if effect is None
    )
    return (
        _best_sentence(results, finished),
        *(
            _effect_sentence(effect, finished[0].metrics, spread, LARGEST if index == 0 < len(effects) - 1 else "")
            for index, effect in enumerate(effects)
        ),
        *unknown,
        *failures,
        *_cautions(finished, spread),
    )


def _key(value: JsonValue) -> str:
    return json.dumps(value)


def _effect(finished: Sequence[_Finished], axis: str, values: Iterable[str]) -> _Effect | None:
    groups: dict[str, dict[str, RunMetrics]] = defaultdict(dict)
    for result in finished:
        others = json.dumps({key: value for key, value in result.settings.items() if key != axis})
        groups[others][_key(result.settings[axis])] = result.metrics
    wanted = list(dict.fromkeys(values))
    complete = [group for group in groups.values() if len(group) == len(wanted)]
    if not complete:
        return None
    means = {value: fmean(group[value].value for group in complete) for value in wanted}
    seconds = {value: fmean(group[value].seconds for group in complete) for value in wanted}
    lower_is_better = finished[0].metrics.metric in LOWER_IS_BETTER
    low, high = min(wanted, key=means.__getitem__), max(wanted, key=means.__getitem__)
    worst, top = (high, low) if lower_is_better else (low, high)
    return _Effect(
        axis=axis,
        worst=json.loads(worst),
        best=json.loads(top),
        worst_mean=means[worst],
        best_mean=means[top],
        times_as_long=seconds[top] / seconds[worst] if min(seconds[top], seconds[worst]) >= MIN_COMPARED_S else None,
        is_averaged=len(complete) > 1,
    )


def _best_sentence(results: tuple[Result, ...], finished: Sequence[_Finished]) -> str:
    top = best(results)
    if top is None or top.metrics is None:
        raise AssertionError
    figures = top.metrics
    where = describe(top.settings)
    said = f"{where} reaches {_name(figures)} {_value(figures, figures.value)}"
    if len(finished) == 1:
        return f"{said}."
    others = [one.metrics for one in finished if one.settings != top.settings]
    close = sum(_is_within_chance(figures, other) for other in others)
    return f"The best of {len(finished)} is {where} with {_name(figures)} {_value(figures, figures.value)}" + (
        f"; {close} of the others {'is' if close == 1 else 'are'} within chance of it." if close else "."
    )


def _effect_sentence(effect: _Effect, metrics: RunMetrics, spread: float | None, lead: str) -> str:
    average = " on average" if effect.is_averaged else ""
    worst, top = _value(metrics, effect.worst_mean), _value(metrics, effect.best_mean)
    chance = _chance(effect, metrics, spread)
    if chance is not None and effect.size <= chance:
        return (
            f"{effect.axis} makes no clear difference: {_name(metrics)} {worst} to {top}{average}, "
            f"and chance alone makes up to {_difference(metrics, chance)}."
        )
    sign = "−" if metrics.metric in LOWER_IS_BETTER else "+"
    return (
        f"{lead}{effect.axis} {value_text(effect.worst)} → {value_text(effect.best)}: {_name(metrics)} {worst} → {top}"
        f"{average} ({sign}{_difference(metrics, effect.size)}){_time(effect.times_as_long)}."
    )


def _chance(effect: _Effect, metrics: RunMetrics, spread: float | None) -> float | None:
    """The largest difference that chance explains; None where nothing is known of it."""
    if metrics.metric != "accuracy":
        return spread
    low, high = difference_interval(effect.best_mean, metrics.examples, effect.worst_mean, metrics.examples)
    return max(effect.best_mean - effect.worst_mean - low, spread or 0.0) if high > low else spread


def _is_within_chance(top: RunMetrics, other: RunMetrics) -> bool:
    return top.metric == "accuracy" and not is_clear(
        difference_interval(top.value, top.examples, other.value, other.examples)
    )


def _spread_over_seeds(finished: Sequence[_Finished]) -> float:
    """The largest difference between two seeds at one point."""
    groups: dict[str, list[float]] = defaultdict(list)
    for result in finished:
        others = json.dumps({key: value for key, value in result.settings.items() if key != SEED})
        groups[others].append(result.metrics.value)
    return max(max(values) - min(values) for values in groups.values())


def _cautions(finished: Sequence[_Finished], spread: float | None) -> Iterable[str]:
    metrics = finished[0].metrics
    if len(finished) == 1:
        return
    if spread is not None:
        yield f"Between seeds, one point's {_name(metrics)} differs by up to {_difference(metrics, spread)}."
    counted = metrics.metric == "accuracy"
    if counted:
        yield (
            f"Chance means that of {metrics.examples:,} {metrics.evaluated_on} examples at 95 %"
            + ("." if spread is not None else "; another seed may change as much, and was not tried.")
        )
    elif spread is None:
        yield "How much of this is chance is not known: each point is one training with one seed."
    yield f"The best was chosen by the {metrics.evaluated_on} split itself, so its figure flatters it a little."


def _name(metrics: RunMetrics) -> str:
    return metrics.metric.replace("_", " ")


def _value(metrics: RunMetrics, value: float) -> str:
    return f"{value:.4f}" if metrics.metric == "accuracy" else f"{value:.3g}"


def _difference(metrics: RunMetrics, difference: float) -> str:
    return f"{100 * difference:.1f} points" if metrics.metric == "accuracy" else f"{difference:.3g}"


def _time(times_as_long: float | None) -> str:
    if times_as_long is None:
        return ""
    if 1 / SAME_TIME < times_as_long < SAME_TIME:
        return ", in about the same time"
    return (
        f", taking {times_as_long:.1f} times as long"
        if times_as_long > 1
        else f", taking {times_as_long:.0%} of the time"
    )
