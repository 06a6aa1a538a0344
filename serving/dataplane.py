"""The one use case: resolve → decode → admit → batch → answer. It knows no transport."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from serving.batching.terms import DEFAULT_TERMS, Terms
from serving.errors import (
    DeadlineExceededError,
    InvalidInputError,
    ModelNotFoundError,
    UnsupportedError,
    VersionGoneError,
)
from serving.image_decoder import ImageDecoder
from serving.images import ImageFile, ImageSpec
from serving.in_thread import in_thread
from serving.observability.metrics import Metrics
from serving.repository.derivation import Derivation
from serving.repository.manager import Manager
from serving.repository.servable import Servable
from serving.signatures import DEFAULT_SIGNATURE, Signature, format_shape

_SCORES_RANK = 2
_MAX_EXAMPLES_AT_ONCE = 64
"""More would keep everybody else waiting, some 20 microseconds each: they are decoded in a thread."""
_LOOK_FOR_S = 5.0
"""How long a request waits for what replaces the version that it was for."""

T = TypeVar("T")

Inputs = dict[str, np.ndarray]
Decode = Callable[[Signature], Inputs]
LateDecode = Callable[[Signature], Inputs | Awaitable[Inputs]]


@dataclass(frozen=True, slots=True)
class Target:
    """Which function of which model a request means; without version and label, what its traffic says."""

    name: str
    version: int | None = None
    label: str | None = None
    signature_name: str = DEFAULT_SIGNATURE


@dataclass(slots=True)
class Prediction:
    """What a model answered, and which version it was."""

    name: str
    version: int
    signature_name: str
    signature: Signature
    outputs: dict[str, np.ndarray]
    labels: tuple[str, ...] = ()


class DataPlane:
    """Answers requests with whatever the manager has loaded."""

    def __init__(self, manager: Manager, metrics: Metrics, image_decoder: ImageDecoder) -> None:
        self._manager = manager
        self._metrics = metrics
        self._image_decoder = image_decoder

    def predict(
        self,
        target: Target,
        decode: LateDecode,
        *,
        api: str,
        output_filter: Sequence[str] = (),
        terms: Terms = DEFAULT_TERMS,
    ) -> Awaitable[Prediction]:
        """Runs the target on what `decode` makes of the request, once the signature is known.

        `api` names the protocol for the metrics.

        Raises:
            ServingError: every cause of serving/errors.py.
        """

        async def ask(servable: Servable) -> Prediction:
            signature = servable.signature(target.signature_name)
            wanted = _filtered(signature, output_filter) if output_filter else None
            inputs = decode(signature)
            if not isinstance(inputs, dict):
                inputs = await _in_time(inputs, terms)
            outputs = await self._run(servable, target.signature_name, inputs, terms)
            if wanted is not None:
                outputs = {name: outputs[name] for name in wanted}
            return Prediction(
                servable.name, servable.version, target.signature_name, signature, outputs, servable.labels
            )

        return self._ask(target, ask, api, terms)

    async def predict_each(
        self, target: Target, decoders: Mapping[str, Decode], *, api: str, terms: Terms = DEFAULT_TERMS
    ) -> list[Prediction]:
        """Runs several signatures of one version, by name, each on what its decoder makes of the request.

        Nothing runs before all of them are known and decoded.

        Raises:
            ServingError: every cause of serving/errors.py; one failure fails all.
        """

        async def ask(servable: Servable) -> list[Prediction]:
            signatures = {name: servable.signature(name) for name in decoders}
            inputs = {name: decode(signatures[name]) for name, decode in decoders.items()}
            outputs = {name: await self._run(servable, name, inputs[name], terms) for name in decoders}
            return [
                Prediction(servable.name, servable.version, name, signatures[name], outputs[name]) for name in decoders
            ]

        return await self._ask(target, ask, api, terms)

    async def classify_images(
        self, target: Target, files: Sequence[ImageFile], *, api: str, terms: Terms = DEFAULT_TERMS
    ) -> Prediction:
        """Decodes image files in threads and asks the model once for all; the one output is their scores [N, classes].

        Raises:
            UnsupportedError: the model takes no images or gives no class scores.
            ServingError: every cause of serving/errors.py.
        """

        async def ask(servable: Servable) -> Prediction:
            signature = servable.signature(target.signature_name)
            spec = image_spec(servable, signature)
            servable.admit(target.signature_name, len(files), terms)
            pixels = await self._image_decoder.decode(files, spec)
            outputs = await servable.run(target.signature_name, {signature.inputs[0].name: pixels}, terms)
            scores = signature.outputs[0].name
            return Prediction(
                servable.name,
                servable.version,
                target.signature_name,
                signature,
                {scores: outputs[scores]},
                servable.labels,
            )

        return await self._ask(target, ask, api, terms)

    async def _ask(self, target: Target, ask: Callable[[Servable], Awaitable[T]], api: str, terms: Terms) -> T:
        """Asks the version that the target means, or the one it means by then, where an upstream has replaced it.

        Counts the request by how it ends, a cancelled one too, under the name of a served model or of none: clients
        must not be able to fill the memory with names.
        """
        started_at = time.perf_counter()
        served, outcome = "", "ok"
        try:
            try:
                with self._resolve(target, terms) as servable:
                    served = servable.name
                    return await ask(servable)
            except VersionGoneError as error:
                gone = error.with_traceback(None)  # which holds this frame, and this frame the error
            return await self._ask_successor(servable, target, ask, terms, gone)
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self._metrics.request(served, api, outcome, time.perf_counter() - started_at)

    async def _ask_successor(
        self,
        gone: Servable,
        target: Target,
        ask: Callable[[Servable], Awaitable[T]],
        terms: Terms,
        cause: VersionGoneError,
    ) -> T:
        try:
            if target.version is None:
                await self._manager.look_until(lambda: self._resolve(target, terms) is not gone, _LOOK_FOR_S)
                with self._resolve(target, terms) as successor:
                    return await ask(successor)
        except (VersionGoneError, TimeoutError):
            pass
        raise ModelNotFoundError(str(cause)) from cause

    def _run(
        self, servable: Servable, signature_name: str, inputs: Mapping[str, np.ndarray], terms: Terms
    ) -> Awaitable[dict[str, np.ndarray]]:
        derivation = servable.derivations.get(signature_name)
        if derivation is None:
            return servable.run(signature_name, inputs, terms)
        return self._run_derived(servable, derivation, inputs, terms)

    async def _run_derived(
        self, servable: Servable, derivation: Derivation, inputs: Mapping[str, np.ndarray], terms: Terms
    ) -> dict[str, np.ndarray]:
        """Decodes the strings, and runs the signature that they are decoded for."""
        (strings,) = inputs.values()
        servable.admit(derivation.source, len(strings), terms)
        if derivation.image is None:
            examples = strings.tolist()
            if len(examples) > _MAX_EXAMPLES_AT_ONCE:
                rows = await _in_time(in_thread(None, derivation.decode_examples, examples), terms)
            else:
                rows = derivation.decode_examples(examples)
        else:
            files = [ImageFile(data, derivation.row_name(row)) for row, data in enumerate(strings.tolist())]
            rows = await _in_time(self._image_decoder.decode(files, derivation.image), terms)
        answers = await servable.run(derivation.source, {derivation.source_input.name: rows}, terms)
        return derivation.outputs(answers)

    def _resolve(self, target: Target, terms: Terms) -> Servable:
        if target.version is None and target.label is None:
            return self._manager.route(target.name, terms.headers)
        return self._manager.resolve(target.name, target.version, target.label)


async def _in_time(decoded: Awaitable[T], terms: Terms) -> T:
    try:
        async with asyncio.timeout_at(terms.deadline):
            return await decoded
    except TimeoutError as error:
        raise DeadlineExceededError("the deadline passed before the inputs were decoded") from error


def image_spec(servable: Servable, signature: Signature) -> ImageSpec:
    """How to make the signature's input from an image file.

    Raises:
        UnsupportedError: the signature is not one of pixels in, a list of scores out.
    """
    if servable.task == "regression":
        raise UnsupportedError(
            f"model {servable.name} is a regression, which takes numbers and no image: ask ':predict'"
        )
    if servable.image is None:
        raise UnsupportedError(
            f"model {servable.name} has no image preprocessing in its manifest: send tensors instead"
        )
    pixels, scores, shape = signature.inputs[0], signature.outputs[0], servable.image.shape
    if len(signature.inputs) > 1 or pixels.dtype != "uint8" or not pixels.accepts((1, *shape)):
        raise UnsupportedError(
            f"model {servable.name} takes no images: expected one input of uint8 {format_shape((None, *shape))}, "
            f'its input "{pixels.name}" is {pixels.dtype} {format_shape(pixels.shape)}'
        )
    if len(scores.shape) != _SCORES_RANK or scores.element.is_string or scores.element.predict_only:
        raise UnsupportedError(
            f"model {servable.name} gives no class scores: expected numbers of shape [?, classes], "
            f'its output "{scores.name}" is {scores.dtype} {format_shape(scores.shape)}'
        )
    return servable.image


def _filtered(signature: Signature, output_filter: Sequence[str]) -> Sequence[str]:
    known = {spec.name for spec in signature.outputs}
    for position, name in enumerate(output_filter):
        if name not in known:
            raise InvalidInputError(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{','.join(sorted(known))}}}."
            )
        if name in output_filter[:position]:
            raise InvalidInputError(f"duplicate output tensor alias: {name}")
    return output_filter
