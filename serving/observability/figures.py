"""Figures of several processes as one: what a worker sends, and how the supervisor adds it up. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

_SURVIVING = frozenset({"counter", "histogram"})

_Key = tuple[str, tuple[tuple[str, str], ...]]


class Sample(NamedTuple):
    """One number of a family, by its labels."""

    name: str
    labels: Mapping[str, str]
    value: float


class Family(NamedTuple):
    """One metric with all its samples, in Prometheus' terms; `kind` is counter, gauge or histogram."""

    name: str
    documentation: str
    kind: str
    samples: Sequence[Sample]

    @classmethod
    def read(cls, document: Sequence[Any]) -> Self:
        """From what JSON made of one."""
        name, documentation, kind, samples = document
        return cls(name, documentation, kind, [Sample(*sample) for sample in samples])


Figures = Sequence[Family]


def added_up(figures: Iterable[Figures]) -> list[Family]:
    """Sums of samples with the same name and labels; families in the order of their names."""
    families: dict[str, Family] = {}
    sums: dict[str, dict[_Key, Sample]] = {}
    for family in (family for each in figures for family in each):
        families.setdefault(family.name, family)
        of_family = sums.setdefault(family.name, {})
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.items()))
            before = of_family.get(key)
            of_family[key] = sample if before is None else sample._replace(value=before.value + sample.value)
    return [families[name]._replace(samples=list(sums[name].values())) for name in sorted(families)]


def surviving(figures: Figures) -> list[Family]:
    """What still counts when the process has ended: counters must never fall, or rates over them show a leap."""
    return [family for family in figures if family.kind in _SURVIVING]


def of_living_versions(ended: Figures, living: Figures) -> list[Family]:
    """Figures of ended processes, without those of versions that no living one knows any more: they would pile up."""
    versions = {_version(sample) for family in living for sample in family.samples}
    return [
        family._replace(samples=[sample for sample in family.samples if _version(sample) in versions | {None}])
        for family in ended
    ]


def _version(sample: Sample) -> tuple[str, str] | None:
    version = sample.labels.get("version")
    return None if version is None else (sample.labels.get("model_name", ""), version)
