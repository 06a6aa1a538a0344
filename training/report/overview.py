"""The report's sections on the training itself: outcome, verdict, curves, configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from training.chance import share_interval
from training.report.charts import Line, line_chart
from training.report.html import Html, duration, number, percent, tag
from training.report.page import figure, section
from training.report.verdict import judge_fit
from training.run import History, MetricName, RunConfig, RunMetrics


def heading(config: RunConfig, history: History, metrics: RunMetrics) -> Html:
    """The title, the figure that counts, and the verdict."""
    return tag(
        "header",
        tag("p", config.recipe, class_="recipe"),
        tag("h1", config.title),
        tag(
            "div",
            tag("p", _headline(metrics), class_="headline"),
            tag("p", *_outcome(metrics), class_="outcome"),
            class_="result",
        ),
        _verdict(history, metrics),
    )


def _headline(metrics: RunMetrics) -> str:
    return percent(metrics.value) if metrics.metric == "accuracy" else number(metrics.value)


def _outcome(metrics: RunMetrics) -> Iterator[str]:
    examples = f"{metrics.examples:,} {metrics.evaluated_on} example{'s' if metrics.examples > 1 else ''}"
    if metrics.metric == "mean_absolute_error":
        yield f"mean absolute error on {examples}"
    else:
        yield f"of {examples} classified right"
        low, high = share_interval(metrics.value, metrics.examples)
        yield tag("span", f"95 % confidence interval: {percent(low)} to {percent(high)}")


def _verdict(history: History, metrics: RunMetrics) -> Html:
    verdict = judge_fit(history, metrics.metric)
    lines = [verdict.sentence]
    if history.stopped_early:
        lines.append(f"Stopped early: {history.stopped_early}.")
    if metrics.weights_of_epoch != len(history.epochs):
        lines.append(f"The model has the weights of epoch {metrics.weights_of_epoch} of {len(history.epochs):,}.")
    return tag("div", *(tag("p", line) for line in lines), class_=f"verdict {verdict.fit}")


def curves(history: History, metric: MetricName) -> Html:
    """Loss and metric by epoch."""
    epochs = history.epochs
    losses = [Line("training", [epoch.loss for epoch in epochs])]
    metrics = [Line("training", [epoch.metric for epoch in epochs])]
    if all(epoch.validation_loss is not None for epoch in epochs):
        losses.append(Line("validation", [epoch.validation_loss or 0.0 for epoch in epochs]))
        metrics.append(Line("validation", [epoch.validation_metric or 0.0 for epoch in epochs]))
    name = "Accuracy" if metric == "accuracy" else "Mean absolute error"
    return section(
        "curves",
        "Curves",
        tag("p", *(tag("span", line.name, class_=f"key {line.name}") for line in losses), class_="legend"),
        tag(
            "div",
            _panel("Loss", losses, history.best, shares=False),
            _panel(name, metrics, history.best, shares=metric == "accuracy"),
            class_="pair",
        ),
    )


def _panel(title: str, lines: list[Line], best: int, *, shares: bool) -> Html:
    judged = lines[-1]
    value = judged.values[best]
    at_best = f"best epoch {best + 1}: {percent(value) if shares else number(value)}"
    return figure(
        tag("figcaption", tag("b", title), tag("span", at_best, class_=f"said {judged.name}")),
        line_chart(lines, best, shares=shares, description=f"{title} by epoch"),
    )


def configuration(config: RunConfig, history: History, metrics: RunMetrics) -> Html:
    """What was trained, on what, with which settings."""
    return section(
        "configuration",
        "Configuration",
        tag(
            "div",
            tag("div", tag("h3", "Run"), _definitions(_facts(config, history, metrics))),
            tag("div", tag("h3", "Settings"), _definitions(_written(config.settings))),
            class_="pair",
        ),
    )


def _facts(config: RunConfig, history: History, metrics: RunMetrics) -> Iterator[tuple[str, str]]:
    yield "recipe", config.recipe
    yield "task", f"{config.task}, {config.output}"
    yield "data set", config.dataset
    if config.data_dir is not None:
        yield "data folder", config.data_dir
    yield "data SHA-256", config.dataset_sha256
    if config.image is not None:
        yield "image", f"{config.image.height} × {config.image.width}, {config.image.colour}"
    if config.labels:
        yield "classes", f"{len(config.labels):,}"
    yield "parameters", f"{metrics.parameters:,}"
    yield "epochs", f"{len(history.epochs):,}"
    yield "weights of epoch", f"{metrics.weights_of_epoch:,}"
    yield f"{metrics.evaluated_on} loss", number(metrics.loss)
    yield "started", config.started_at
    yield "wall time", duration(metrics.seconds)
    if config.replicas > 1:
        yield "devices", f"{config.replicas:,}"
    yield "code", config.git_revision or "not under version control"
    yield "versions", ", ".join(f"{name} {version}" for name, version in config.library_versions.items())


def _written(settings: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    """The settings in plain text."""
    for key, value in settings.items():
        if value is None:
            yield key, "none"
        elif isinstance(value, bool):
            yield key, str(value).lower()
        elif isinstance(value, list):
            yield key, ",".join(map(str, value)) or "none"
        else:
            yield key, str(value)


def _definitions(pairs: Iterator[tuple[str, str]]) -> Html:
    return tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in pairs))
