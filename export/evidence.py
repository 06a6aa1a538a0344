"""What the gate before publishing looks at: the written files, run on the data set and on probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from export import parity
from export.description import Description
from export.errors import ExportError
from export.parity import Comparison, Limits
from export.probes import Tensors, batches, probes
from export.runtimes import RUNTIMES, NoAnswerError, Runtime, answers
from export.sources.base import Examples, Original
from export.tensor_parity import compare_tensors
from serving.bundle import Parity
from serving.signatures import DEFAULT_SIGNATURE, Signature, TensorSpec
from training.run import MetricName, SplitName

SCORES_RANK = 2

Answers = Mapping[str, Sequence[Tensors]]
"""What a runtime gave, batch by batch, for each kind of input."""


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

    def refusal(self) -> str | None:
        """Why this is not the model that was trained, or None."""
        judge = parity.accuracy_refusal if self.metric == "accuracy" else parity.error_refusal
        reasons = [judge(measured, self.recorded, self.examples) for measured in self.measured.values()]
        return next((reason for reason in reasons if reason is not None), None)


@dataclass(frozen=True)
class Evidence:
    """What the gate saw.

    `parities` has the figures over all inputs, one for each output of each runtime but the `reference`;
    `comparisons` has them by kind of input. Kinds of probes that the reference refused are in `left_out`, each with its
    reason. `quality` is None where there is no data set to measure it on.
    """

    reference: str
    parities: tuple[Parity, ...]
    comparisons: tuple[Comparison, ...]
    left_out: Mapping[str, str]
    quality: Quality | None

    @property
    def metrics(self) -> dict[str, float]:
        """Those of the reference, which are what a bundle claims."""
        return {} if self.quality is None else {self.quality.metric: self.quality.measured[self.reference]}

    def refusal(self, limits: Limits) -> str | None:
        """Why the bundle must not be published, or None."""
        reasons = [parity.refusal(found, limits) for found in self.parities]
        reasons.append(None if self.quality is None else self.quality.refusal())
        return next((reason for reason in reasons if reason is not None), None)


def gather_evidence(bundle: Path, original: Original) -> Evidence:
    """Runs the bundle's files on the whole evaluation split and on the probes, one runtime after the other.

    Raises:
        ExportError: a runtime cannot load its file, refuses what the reference answers, or answers in other shapes.
    """
    signature, examples = original.model.signatures[DEFAULT_SIGNATURE], original.examples
    of_examples, of_probes = _example_batches(signature, examples), probes(signature)
    inputs = {**of_examples, **of_probes}
    reference, *others = [kind for kind in RUNTIMES if (bundle / kind.file).is_file()]
    runtime = reference(bundle, signature)
    to_examples = {title: answers(runtime, given) for title, given in of_examples.items()}
    to_probes, left_out = _as_far_as_answered(runtime, of_probes)
    expected: Answers = {**to_examples, **to_probes}
    if others and not expected:
        raise ExportError(f"nothing can be proven: {next(iter(left_out.values()))}")
    found = {reference.name: expected}
    del runtime  # its model is not needed any more
    for kind in others:
        runtime = kind(bundle, signature)
        found[kind.name] = {title: answers(runtime, inputs[title]) for title in expected}
    comparisons, parities = [], []
    for kind in others:
        for spec in signature.outputs:
            compare = _Comparer(spec, original.description, (reference.name, kind.name), len(signature.outputs) > 1)
            pairs = {title: (expected[title], found[kind.name][title]) for title in expected}
            comparisons += [Comparison(title, compare(*pair)) for title, pair in pairs.items()]
            parities.append(compare(*(list(chain.from_iterable(given)) for given in zip(*pairs.values(), strict=True))))
    return Evidence(
        reference=reference.name,
        parities=tuple(parities),
        comparisons=tuple(comparisons),
        left_out=left_out,
        quality=None if examples is None else _quality(signature.outputs[0], examples, found),
    )


@dataclass(frozen=True)
class _Comparer:
    """How one output of two runtimes is compared, which depends on what it means."""

    spec: TensorSpec
    description: Description
    names: tuple[str, str]
    is_one_of_several: bool

    def __call__(self, reference: Sequence[Tensors], candidate: Sequence[Tensors]) -> Parity:
        expected, received = ([batch[self.spec.name] for batch in given] for given in (reference, candidate))
        try:
            found = self._figures(expected, received)
        except ValueError as error:
            raise ExportError(f"{self.names[1]} does not answer like {self.names[0]}: {error}") from error
        return found.model_copy(update={"output": self.spec.name}) if self.is_one_of_several else found

    def _figures(self, expected: Sequence[np.ndarray], received: Sequence[np.ndarray]) -> Parity:
        spec, task = self.spec, self.description.task
        is_float = spec.element.numpy.kind == "f"
        if task == "regression" and is_float and spec.shape == (None, 1):
            return parity.compare_predictions(np.concatenate(expected), np.concatenate(received), names=self.names)
        if task == "classification" and is_float and len(spec.shape) == SCORES_RANK:
            return parity.compare_scores(np.concatenate(expected), np.concatenate(received), names=self.names)
        return compare_tensors(expected, received, names=self.names)


def _example_batches(signature: Signature, examples: Examples | None) -> Mapping[str, Sequence[Tensors]]:
    if examples is None:
        return {}
    (spec,) = signature.inputs
    _, split = examples.dataset.evaluation
    return {_title(examples): [{spec.name: batch} for batch in batches(split.inputs)]}


def _title(examples: Examples) -> str:
    return f"{examples.dataset.evaluation[0]} split"


def _as_far_as_answered(runtime: Runtime, inputs: Mapping[str, Sequence[Tensors]]) -> tuple[Answers, Mapping[str, str]]:
    """The answers, and the reason for each kind of input that has none, which it is the model's right to refuse."""
    found, left_out = {}, {}
    for title, given in inputs.items():
        try:
            found[title] = answers(runtime, given)
        except NoAnswerError as error:
            left_out[title] = str(error)
    return found, left_out


def _quality(spec: TensorSpec, examples: Examples, found: Mapping[str, Answers]) -> Quality:
    measure = parity.accuracy if examples.metric == "accuracy" else parity.mean_absolute_error
    split_name, split = examples.dataset.evaluation
    return Quality(
        metric=examples.metric,
        measured={
            name: measure(np.concatenate([batch[spec.name] for batch in given[_title(examples)]]), split.targets)
            for name, given in found.items()
        },
        recorded=examples.recorded,
        evaluated_on=split_name,
        examples=len(split),
    )
