"""Finished runs side by side: where they differ, and whether the difference is more than chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from training.chance import difference_interval, is_clear
from training.errors import UsageError
from training.run import Run, RunConfig

Row = tuple[JsonValue, ...]
"""One value for each run, in the runs' order; None where a run has no such thing."""

ASSUMPTION = (
    "Chance is the 95 % interval of two shares, each counted on independent examples; runs judged on the same examples "
    "mostly err on the same ones, so it is rather too wide. It does not cover what another seed would change."
)

_FACTS: Mapping[str, Callable[[RunConfig], JsonValue]] = {
    "recipe": lambda config: config.recipe,
    "data set": lambda config: config.dataset,
    "data checksum": lambda config: config.dataset_sha256[:12],
    "classes": lambda config: len(config.labels),
    "image": lambda config: (
        None if config.image is None else f"{config.image.width}×{config.image.height} {config.image.colour}"
    ),
    "output": lambda config: config.output,
    "replicas": lambda config: config.replicas,
    "code": lambda config: config.git_revision and config.git_revision[:12],
}


@dataclass(frozen=True)
class Comparison:
    """The runs' names; then what differs between them, by name; then their figures."""

    runs: tuple[str, ...]
    facts: Mapping[str, Row]
    settings: Mapping[str, Row]
    figures: Mapping[str, Row]
    warnings: tuple[str, ...]
    """Why figures must not be compared, in sentences."""
    verdicts: tuple[str, ...]
    """Each further run against the first, in sentences; none where the figures must not be compared."""


def compare_runs(runs: Sequence[Run]) -> Comparison:
    """Sets runs side by side.

    Raises:
        UsageError: there are fewer than two, or one of them comes twice.
    """
    if len(runs) < 2:
        raise UsageError(f"expected at least two runs to compare, received {len(runs)}")
    names = _names(runs)
    configs = [run.config for run in runs]
    facts = {name: tuple(fact(config) for config in configs) for name, fact in _FACTS.items()}
    facts |= {
        library: tuple(config.library_versions.get(library) for config in configs)
        for library in dict.fromkeys(name for config in configs for name in config.library_versions)
    }
    settings = {
        key: tuple(config.settings.get(key) for config in configs)
        for key in dict.fromkeys(key for config in configs for key in config.settings)
    }
    warnings = tuple(
        warning
        for run, name in zip(runs[1:], names[1:], strict=True)
        if (warning := _incomparable(runs[0], run, f"{names[0]} and {name}"))
    )
    return Comparison(
        runs=names,
        facts=_differing(facts),
        settings=_differing(settings),
        figures=_figures(runs),
        warnings=warnings,
        verdicts=tuple(
            _verdict(runs[0], run, names[0], name)
            for run, name in zip(runs[1:], names[1:], strict=True)
            if not _incomparable(runs[0], run, "")
        ),
    )


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """The folders' names, or their whole paths where two have the same name."""
    paths = [run.path.resolve() for run in runs]
    for path in paths:
        if paths.count(path) > 1:
            raise UsageError(f"{path} was given twice; expected different runs")
    short = tuple(path.name for path in paths)
    return short if len(set(short)) == len(short) else tuple(str(run.path) for run in runs)


def _differing(rows: Mapping[str, Row]) -> dict[str, Row]:
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}


def _figures(runs: Sequence[Run]) -> dict[str, Row]:
    metrics = [run.metrics for run in runs]
    figures: dict[str, Row] = {
        "evaluated on": tuple(f"{one.examples:,} {one.evaluated_on}" for one in metrics),
        **{
            name.replace("_", " "): tuple(one.value if one.metric == name else None for one in metrics)
            for name in dict.fromkeys(one.metric for one in metrics)
        },
        "loss": tuple(one.loss for one in metrics),
        "parameters": tuple(one.parameters for one in metrics),
        "seconds": tuple(one.seconds for one in metrics),
        "epochs trained": tuple(len(run.history.epochs) for run in runs),
        "best epoch": tuple(run.history.best + 1 for run in runs),
    }
    return figures


def _incomparable(one: Run, other: Run, pair: str) -> str | None:
    """Why the two runs' figures say nothing about each other, in a sentence."""
    if one.metrics.metric != other.metrics.metric:
        return f"{pair} are judged by different metrics: their figures cannot be compared."
    if one.metrics.evaluated_on != other.metrics.evaluated_on:
        return (
            f"{pair} were evaluated on different splits, {one.metrics.evaluated_on} and {other.metrics.evaluated_on}: "
            "their figures cannot be compared."
        )
    if one.config.dataset != other.config.dataset:
        return (
            f"{pair} were trained on different data sets, {one.config.dataset} and {other.config.dataset}: "
            "their figures cannot be compared."
        )
    if one.config.image == other.config.image and one.config.dataset_sha256 != other.config.dataset_sha256:
        return f"{pair} saw different data, as its checksums say: their figures cannot be compared."
    if one.metrics.examples != other.metrics.examples:
        return f"{pair} were evaluated on different numbers of examples: their figures cannot be compared."
    return None


def _verdict(first: Run, other: Run, first_name: str, name: str) -> str:
    one, two = other.metrics, first.metrics
    difference = one.value - two.value
    what = one.metric.replace("_", " ")
    if one.metric != "accuracy":
        return (
            f"{name} has a {what} of {one.value:.3g}, {first_name} of {two.value:.3g}; "
            "whether that is more than chance cannot be told from it."
        )
    interval = difference_interval(one.value, one.examples, two.value, two.examples)
    low, high = (f"{100 * limit:+.2f}" for limit in interval)
    more = "more" if difference >= 0 else "less"
    judged = "larger than chance" if is_clear(interval) else "no clear difference"
    return (
        f"{name} has {100 * abs(difference):.2f} points {more} {what} than {first_name}: {judged} "
        f"(95 % interval {low} to {high} points)."
    )
