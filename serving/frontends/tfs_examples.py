"""TensorFlow Serving's Classify, Regress and MultiInference, for gRPC and REST alike.

Behaviour and message texts follow tensorflow_serving/servables/tensorflow/{classifier,regressor,multi_inference}.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from serving.batching.terms import DEFAULT_TERMS, Terms
from serving.dataplane import DataPlane, Decode, Prediction, Target
from serving.errors import InvalidInputError, SignatureNotFoundError, UnsupportedError
from serving.signatures import CLASSIFY_METHOD, REGRESS_METHOD, Signature
from serving.wire.example_results import CLASSES, OUTPUTS, SCORES

INPUTS = "inputs"
_KIND_OF_METHOD: Mapping[str, str] = MappingProxyType({CLASSIFY_METHOD: "classification", REGRESS_METHOD: "regression"})

Examples = Callable[[], np.ndarray]
"""Gives a request's serialized examples, or raises InvalidInputError where there are none."""


class Task(NamedTuple):
    """One inference of a MultiInference: `method` is what the signature has to be made for."""

    target: Target
    method: str


class ExampleMethods:
    """Runs a signature on examples and checks that its answer is one of classes or of numbers."""

    def __init__(self, plane: DataPlane, *, api: str) -> None:
        self._plane = plane
        self._api = api

    async def run(self, target: Target, method: str, examples: Examples, terms: Terms = DEFAULT_TERMS) -> Prediction:
        """Answers examples by the target, which has to be a signature of `method`.

        Raises:
            InvalidInputError: no such signature, or one of another method or form.
            ServingError: every cause of serving/errors.py.
        """
        try:
            return await self._plane.predict(target, _decoder(method, examples), api=self._api, terms=terms)
        except SignatureNotFoundError as error:
            raise InvalidInputError(f"No signature was found with the name: {error.signature_name}") from error

    async def run_all(
        self, tasks: Sequence[Task], examples: Examples, terms: Terms = DEFAULT_TERMS
    ) -> list[Prediction]:
        """Answers the same examples by several signatures of one version, in the order of the tasks.

        Raises:
            InvalidInputError: the tasks do not go together.
            UnsupportedError: a method that is neither Classify nor Regress.
            ServingError: every cause of serving/errors.py.
        """
        check_tasks(tasks)
        decoders = {task.target.signature_name: _decoder(task.method, examples) for task in tasks}
        target = tasks[0].target if tasks else Target("")
        try:
            return await self._plane.predict_each(target, decoders, api=self._api, terms=terms)
        except SignatureNotFoundError as error:
            name = error.signature_name
            raise InvalidInputError(f"Requested signature not found in model graph: {name}") from error


def check_tasks(tasks: Sequence[Task]) -> None:
    """Whether one MultiInference can answer them all.

    Raises:
        InvalidInputError: no name, several models, or one signature twice.
        UnsupportedError: a method that is neither Classify nor Regress.
    """
    seen: set[str] = set()
    for task in tasks:
        if not task.target.name:
            raise InvalidInputError("Found ModelSpec with an empty model name.")
        if task.target.name != tasks[0].target.name:
            raise InvalidInputError("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if task.target.signature_name in seen:
            raise InvalidInputError(f"Duplicate evaluation of signature: {task.target.signature_name}")
        seen.add(task.target.signature_name)
        if task.method not in _KIND_OF_METHOD:
            raise UnsupportedError(f"Unsupported signature method_name: {task.method}")


def _decoder(method: str, examples: Examples) -> Decode:
    def decode(signature: Signature) -> dict[str, np.ndarray]:
        _check(signature, method)
        return {INPUTS: examples()}

    return decode


def _check(signature: Signature, method: str) -> None:
    """Whether the signature is one of the method's form."""
    kind = _KIND_OF_METHOD[method]
    if signature.method != method:
        raise InvalidInputError(f"Expected {kind} signature method_name to be {method}. Was: {signature.method}")
    if len(signature.inputs) != 1:
        raise InvalidInputError("Expected one input Tensor.")
    inputs, outputs = [spec.name for spec in signature.inputs], [spec.name for spec in signature.outputs]
    known = {CLASSES, SCORES} if method == CLASSIFY_METHOD else {OUTPUTS}
    if not 1 <= len(outputs) <= len(known):
        expected = "one or two output Tensors" if method == CLASSIFY_METHOD else "one output Tensor"
        raise InvalidInputError(f"Expected {expected}, found {len(outputs)}")
    if inputs != [INPUTS]:
        raise InvalidInputError(f"No {kind} inputs found in SignatureDef: {', '.join(inputs)}")
    if known.isdisjoint(outputs):
        raise InvalidInputError(f"No {kind} outputs found in SignatureDef: {', '.join(outputs)}")
