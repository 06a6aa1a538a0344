"""Signatures that a model's graph lacks, answered by one that it has: strings are decoded in front of it.

A SavedModel decodes images and serialized tf.Examples in its graph. ONNX has no such operators, so for the default back
end the gateway does it, and the bundle offers the same signatures in both runtimes. Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serving.errors import InvalidInputError
from serving.images import ImageSpec
from serving.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, REGRESS_METHOD, Signature, TensorSpec
from serving.wire.examples import decode_example

CLASSES = "classes"


@dataclass(frozen=True)
class Derivation:
    """How the derived `signature` is answered by the model's `source`.

    Its one input holds image files, which become `image`, or serialized tf.Examples, where that is None.
    """

    signature: Signature
    source: str
    source_input: TensorSpec
    output_sources: Mapping[str, str]
    """The source's output for each of the signature's, but `classes`."""
    labels: np.ndarray
    """The class names as bytes: what `classes` holds in every row."""
    image: ImageSpec | None

    def row_name(self, row: int) -> str:
        """What an error calls one string of a request."""
        return f'input "{self.signature.inputs[0].name}", row {row}'

    def decode_examples(self, strings: Sequence[bytes]) -> np.ndarray:
        """The examples as rows of the source's input.

        Raises:
            InvalidInputError: one of them does not hold the feature that the input is made of.
        """
        rows = []
        for row, string in enumerate(strings):
            try:
                rows.append(decode_example(string, self.source_input))
            except InvalidInputError as error:
                raise InvalidInputError(f"{self.row_name(row)}: {error}") from error
        return np.stack(rows)

    def outputs(self, answers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The signature's outputs from the source's."""
        rows = len(next(iter(answers.values())))
        return {
            spec.name: answers[self.output_sources[spec.name]]
            if spec.name in self.output_sources
            else np.broadcast_to(self.labels, (rows, len(self.labels)))
            for spec in self.signature.outputs
        }


def derive(
    declared: Mapping[str, Signature],
    in_graph: Mapping[str, Signature],
    labels: Sequence[str],
    image: ImageSpec | None,
) -> dict[str, Derivation]:
    """The `declared` signatures that are not `in_graph`, but can be answered by its `serving_default`."""
    source = in_graph.get(DEFAULT_SIGNATURE)
    if source is None or len(source.inputs) != 1 or source.predict_only_tensor is not None:
        return {}
    names = np.array([label.encode() for label in labels], dtype=object)
    found = {}
    for name, signature in declared.items():
        output_sources = _output_sources(signature, source)
        takes_strings = [(spec.dtype, spec.shape) for spec in signature.inputs] == [("string", (None,))]
        if name in in_graph or not takes_strings or not _answers_all(signature, output_sources, labels):
            continue
        if signature.method in {CLASSIFY_METHOD, REGRESS_METHOD} and _has_rows_of_one_shape(source.inputs[0]):
            found[name] = Derivation(signature, DEFAULT_SIGNATURE, source.inputs[0], output_sources, names, None)
        elif image is not None and _takes(source.inputs[0], image):
            found[name] = Derivation(signature, DEFAULT_SIGNATURE, source.inputs[0], output_sources, names, image)
    return found


def _has_rows_of_one_shape(spec: TensorSpec) -> bool:
    return spec.shape[:1] == (None,) and None not in spec.shape[1:]


def _takes(spec: TensorSpec, image: ImageSpec) -> bool:
    return spec.dtype == "uint8" and spec.shape == (None, *image.shape)


def _output_sources(signature: Signature, source: Signature) -> dict[str, str]:
    """For each output the source's one of that name and dtype, else its only one of that dtype."""
    found = {}
    for spec in signature.outputs:
        of_dtype = [output.name for output in source.outputs if output.dtype == spec.dtype]
        if spec.name in of_dtype or len(of_dtype) == 1:
            found[spec.name] = spec.name if spec.name in of_dtype else of_dtype[0]
    return found


def _answers_all(signature: Signature, output_sources: Mapping[str, str], labels: Sequence[str]) -> bool:
    """Whether every output has its source, or is the `classes`, of which there are labels."""
    return all(
        spec.name in output_sources or (spec.name == CLASSES and spec.dtype == "string" and labels)
        for spec in signature.outputs
    )
