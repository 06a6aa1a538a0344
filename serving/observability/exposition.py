"""Figures as Prometheus' text format.

Written here, because prometheus_client ends every counter's name with `_total`, and TensorFlow Serving's end otherwise.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.observability.figures import Figures, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def expose(figures: Figures) -> str:
    """The text that Prometheus scrapes."""
    return "".join(_lines(figures))


def _lines(figures: Figures) -> Iterator[str]:
    for family in figures:
        help_text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
        yield f"# HELP {family.name} {help_text}\n# TYPE {family.name} {family.kind}\n"
        for sample in family.samples:
            yield f"{sample.name}{_labels(sample)} {_number(sample.value)}\n"


def _labels(sample: Sample) -> str:
    if not sample.labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(sample.labels.items())) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return {float("inf"): "+Inf", float("-inf"): "-Inf"}.get(value, repr(float(value)))
