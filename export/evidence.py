"""What the gate before publishing saw, and whether it may be published."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from export.limits import Limits
from export.parity import Comparison
from export.verdict import Violation, metric_violation, refusal, violations
from serving.bundle import Parity
from training.run import MetricName, SplitName


@dataclass(frozen=True)
class Quality:
    """The metric of every runtime on the data set.

    `recorded` is what training noted, on the same `examples` of the split `evaluated_on`.
    """

    metric: MetricName
    measured: Mapping[str, float]
    recorded: float
    evaluated_on: SplitName
    examples: int


@dataclass(frozen=True)
class Evidence:
    """What the gate saw.

    `parities` has the figures that are judged, one for each output of each runtime but the `reference`: over all
    inputs, and for the runtimes in `int8` over the examples only, since 8 bits fit what calibration has seen.
    `comparisons` has them by kind of input. Kinds of probes that the reference refused are in `left_out`, each with its
    reason. `quality` is None where there is no data set to measure it on.
    """

    reference: str
    parities: tuple[Parity, ...]
    comparisons: tuple[Comparison, ...]
    left_out: Mapping[str, str]
    quality: Quality | None
    int8: frozenset[str] = frozenset()

    @property
    def metrics(self) -> dict[str, float]:
        """Those of the reference, which are what a bundle claims."""
        return {} if self.quality is None else {self.quality.metric: self.quality.measured[self.reference]}

    def violations(self, limits: Limits) -> list[Violation]:
        """Every figure that is outside of its bound."""
        of_parities = [violation for found in self.parities for violation in self._violations_of(found, limits)]
        return of_parities + self._violations_of_quality()

    def refusal(self, limits: Limits) -> str | None:
        """Why the bundle must not be published, or None: the reasons of the first runtime that has some."""
        reasons = [refusal(found, self._violations_of(found, limits)) for found in self.parities]
        reasons += [violation.reason for violation in self._violations_of_quality()]
        return next((reason for reason in reasons if reason is not None), None)

    def _violations_of(self, parity: Parity, limits: Limits) -> list[Violation]:
        bounds = limits.of(is_int8=parity.runtime in self.int8)
        if any(one.parity.max_abs_difference == math.inf for one in self._comparisons_of(parity)):
            parity = parity.model_copy(update={"max_abs_difference": math.inf})
        return violations(parity, bounds, reference_accuracy=self.metrics.get("accuracy"))

    def _comparisons_of(self, parity: Parity) -> list[Comparison]:
        """Those of one runtime's output, by kind of input."""
        key = (parity.runtime, parity.output)
        return [one for one in self.comparisons if (one.parity.runtime, one.parity.output) == key]

    def _violations_of_quality(self) -> list[Violation]:
        quality = self.quality
        if quality is None:
            return []
        found = [
            metric_violation(name, quality.metric, measured, quality.recorded, quality.examples)
            for name, measured in quality.measured.items()
            if name not in self.int8
        ]
        return [violation for violation in found if violation is not None]
