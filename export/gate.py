"""The gate before publishing: the written files, run on the data set and on probes, and held against the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from export import parity
from export.description import SCORES_RANK, Description
from export.errors import ExportError
from export.evidence import Evidence, Quality
from export.latency import latencies_ms
from export.limits import Limits
from export.parity import Comparison
from export.probes import RANDOM, batches, probes
from export.runtimes import RUNTIMES, Answering, NoAnswerError, Runtime, answers, is_present, size_bytes
from export.sources.base import Examples, Original
from export.tensor_parity import compare_tensors
from serving.bundle import Parity
from serving.signatures import DEFAULT_SIGNATURE, Signature, Tensors, TensorSpec

Inputs = Mapping[str, Sequence[Tensors]]
"""What runtimes are asked, batch by batch, by what kind of input it is."""


@dataclass(frozen=True)
class _Answered:
    """One runtime's answers to each kind of input, batch by batch, and how long it took."""

    name: str
    answers: Mapping[str, Sequence[Tensors]]
    latencies_ms: Mapping[int, float]
    size_bytes: int | None = None
    is_int8: bool = False


def gather_evidence(bundle: Path, original: Original, limits: Limits) -> Evidence:
    """Runs the bundle's files on the whole evaluation split and on the probes, one runtime after the other.

    The reference is the model in memory, or the first runtime where the source is files. Scores that are closer than
    the difference which `limits` allows are tied.

    Raises:
        ExportError: a runtime cannot load its file, refuses what the reference answers, or answers in other shapes.
    """
    signature, examples = original.model.signatures[DEFAULT_SIGNATURE], original.examples
    of_examples, of_probes = _example_batches(signature, examples), probes(signature)
    kinds = [kind for kind in RUNTIMES if is_present(kind, bundle)]
    reference: Answering = original.in_memory if original.in_memory is not None else kinds.pop(0)(bundle, signature)
    to_examples = {title: answers(reference, given) for title, given in of_examples.items()}
    to_probes, left_out = _as_far_as_answered(reference, of_probes)
    expected = _Answered(reference.name, {**to_examples, **to_probes}, {})
    if kinds and not expected.answers:
        raise ExportError(f"nothing can be proven: {next(iter(left_out.values()))}")
    del reference  # its model is not needed any more
    inputs = {title: given for title, given in {**of_examples, **of_probes}.items() if title in expected.answers}
    found = [_ask(kind, bundle, signature, inputs) for kind in kinds]
    quality = None if examples is None else _quality(signature.outputs[0], examples, [expected, *found])
    comparisons, parities = [], []
    for one in found:
        judged = of_examples.keys() if one.is_int8 else inputs.keys()
        for spec in signature.outputs:
            compare = _Comparer(
                spec, original.description, (expected.name, one.name), len(signature.outputs) > 1, limits
            )
            pairs = {title: (expected.answers[title], one.answers[title]) for title in inputs}
            comparisons += [Comparison(title, compare(*pair)) for title, pair in pairs.items()]
            over_all = zip(*(pairs[title] for title in judged), strict=True)
            figures = compare(*(list(chain.from_iterable(given)) for given in over_all))
            parities.append(figures.model_copy(update=_measurements(one, quality)))
    return Evidence(
        reference=expected.name,
        parities=tuple(parities),
        comparisons=tuple(comparisons),
        left_out=left_out,
        quality=quality,
        int8=frozenset(one.name for one in found if one.is_int8),
    )


def _ask(kind: type[Runtime], bundle: Path, signature: Signature, inputs: Inputs) -> _Answered:
    runtime = kind(bundle, signature)
    return _Answered(
        name=kind.name,
        answers={title: answers(runtime, given) for title, given in inputs.items()},
        latencies_ms=latencies_ms(runtime, inputs.get(RANDOM, ())),
        size_bytes=size_bytes(kind, bundle),
        is_int8=kind.is_int8,
    )


def _measurements(answered: _Answered, quality: Quality | None) -> dict[str, float | None]:
    """What a record of parity says about the runtime itself."""
    return {
        **({} if quality is None else {quality.metric: quality.measured[answered.name]}),
        **{f"latency_ms_batch_{rows}": milliseconds for rows, milliseconds in answered.latencies_ms.items()},
        "size_bytes": answered.size_bytes,
    }


@dataclass(frozen=True)
class _Comparer:
    """How one output of two runtimes is compared, which depends on what it means."""

    spec: TensorSpec
    description: Description
    names: tuple[str, str]
    is_one_of_several: bool
    limits: Limits

    def __call__(self, reference: Sequence[Tensors], candidate: Sequence[Tensors]) -> Parity:
        expected, received = ([batch[self.spec.name] for batch in given] for given in (reference, candidate))
        try:
            found = self._figures(expected, received)
        except ValueError as error:
            raise ExportError(f"{self.names[1]} does not answer like {self.names[0]}: {error}") from error
        return found.model_copy(update={"output": self.spec.name}) if self.is_one_of_several else found

    def _figures(self, expected: Sequence[np.ndarray], received: Sequence[np.ndarray]) -> Parity:
        spec, task = self.spec, self.description.task
        is_float = spec.element.kind == "f"
        if task == "regression" and is_float and spec.shape == (None, 1):
            return parity.compare_predictions(np.concatenate(expected), np.concatenate(received), names=self.names)
        if task == "classification" and is_float and len(spec.shape) == SCORES_RANK:
            return parity.compare_scores(
                np.concatenate(expected),
                np.concatenate(received),
                names=self.names,
                tie_tolerance=self.limits.difference,
            )
        return compare_tensors(expected, received, names=self.names)


def _example_batches(signature: Signature, examples: Examples | None) -> Inputs:
    if examples is None:
        return {}
    (spec,) = signature.inputs
    _, split = examples.dataset.evaluation
    return {_title(examples): [{spec.name: batch} for batch in batches(split.inputs)]}


def _title(examples: Examples) -> str:
    return f"{examples.dataset.evaluation[0]} split"


def _as_far_as_answered(
    runtime: Answering, inputs: Inputs
) -> tuple[Mapping[str, Sequence[Tensors]], Mapping[str, str]]:
    """The answers, and the reason for each kind of input that has none, which it is the model's right to refuse."""
    found, left_out = {}, {}
    for title, given in inputs.items():
        try:
            found[title] = answers(runtime, given)
        except NoAnswerError as error:
            left_out[title] = str(error)
    return found, left_out


def _quality(spec: TensorSpec, examples: Examples, found: Sequence[_Answered]) -> Quality:
    measure = parity.accuracy if examples.metric == "accuracy" else parity.mean_absolute_error
    title, (split_name, split) = _title(examples), examples.dataset.evaluation
    return Quality(
        metric=examples.metric,
        measured={
            one.name: measure(np.concatenate([batch[spec.name] for batch in one.answers[title]]), split.targets)
            for one in found
        },
        recorded=examples.recorded,
        evaluated_on=split_name,
        examples=len(split),
    )
