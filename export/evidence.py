"""What the gate before publishing looks at: the written files, run on the data set and on probes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import parity
from export.parity import Comparison, Limits
from export.runtimes import OnnxRuntime, TensorFlowRuntime, answers, batches, probes
from export.sources.base import Original
from serving.bundle import Parity
from serving.signatures import DEFAULT_SIGNATURE
from training.run import MetricName, SplitName


@dataclass(frozen=True)
class Evidence:
    """What the gate saw: figures by kind of input and over all, and every runtime's metric on the data set.

    `recorded` is the metric that training noted, on the same `examples` of the split `evaluated_on`.
    """

    comparisons: tuple[Comparison, ...]
    parity: Parity
    metric: MetricName
    measured: dict[str, float]
    recorded: float
    evaluated_on: SplitName
    examples: int

    @property
    def value(self) -> float:
        """The metric of the reference, which is what a bundle claims."""
        return self.measured[self.parity.reference]

    def refusal(self, limits: Limits) -> str | None:
        """Why the bundle must not be published, or None."""
        metric_refusal = parity.accuracy_refusal if self.metric == "accuracy" else parity.error_refusal
        reasons = [parity.refusal(self.parity, limits)] + [
            metric_refusal(measured, self.recorded, self.examples) for measured in self.measured.values()
        ]
        return next((reason for reason in reasons if reason is not None), None)


def gather_evidence(bundle: Path, original: Original) -> Evidence:
    """Runs the bundle's files on the whole evaluation split and on the probes, one runtime after the other."""
    signature, examples = original.model.signatures[DEFAULT_SIGNATURE], original.examples
    is_regression = original.description.task == "regression"
    compare = parity.compare_predictions if is_regression else parity.compare_scores
    measure = parity.mean_absolute_error if is_regression else parity.accuracy
    split_name, split = examples.dataset.evaluation
    split_title = f"{split_name} split"
    inputs = {split_title: batches(split.inputs), **probes(signature.inputs[0])}
    by_runtime: dict[str, dict[str, np.ndarray]] = {}
    for kind in (TensorFlowRuntime, OnnxRuntime):
        runtime = kind(bundle, signature)
        by_runtime[runtime.name] = {title: answers(runtime, arrays) for title, arrays in inputs.items()}
    reference, candidate = by_runtime[TensorFlowRuntime.name], by_runtime[OnnxRuntime.name]
    return Evidence(
        comparisons=tuple(Comparison(title, compare(reference[title], candidate[title])) for title in inputs),
        parity=compare(np.concatenate([*reference.values()]), np.concatenate([*candidate.values()])),
        metric=examples.metric,
        measured={name: measure(found[split_title], split.targets) for name, found in by_runtime.items()},
        recorded=examples.recorded,
        evaluated_on=split_name,
        examples=len(split),
    )
