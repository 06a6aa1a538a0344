"""Triton's classification extension: an output as its best classes, each a string `value:index[:label]`.

Source: Triton's protocol extension "classification", and the text of a value from its classification.cc: six decimals
of a float, whole numbers as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from serving.errors import InvalidInputError
from serving.signatures import TensorSpec
from serving.wire.oip_parameters import Parameters
from serving.wire.ranking import best_first

_MAX_COUNT = 2**31 - 1


def class_count(parameters: Parameters, where: str) -> int:
    """How many classes an output is wanted as, by its parameter `classification`; 0 where it is wanted as it is.

    Raises:
        InvalidInputError: not a whole number from 0.
    """
    count = parameters.get("classification", 0)
    if type(count) is not int or not 0 <= count <= _MAX_COUNT:
        raise InvalidInputError(
            f"{where}: expected a whole number of classes as classification, received {str(count)[:40]}"
        )
    return count


def as_classes(
    outputs: Sequence[tuple[TensorSpec, np.ndarray]], counts: Mapping[str, int], labels: Sequence[str]
) -> list[tuple[TensorSpec, np.ndarray]]:
    """The outputs, those with a count as byte strings of shape [N, count], best first, fewer where there are fewer.

    Labels are those of a row's values, one for each; other rows have none.

    Raises:
        InvalidInputError: classes of strings, or of an output without rows.
    """
    return [
        (spec, array) if not counts.get(spec.name) else _classes(spec, array, counts[spec.name], labels)
        for spec, array in outputs
    ]


def _classes(spec: TensorSpec, array: np.ndarray, count: int, labels: Sequence[str]) -> tuple[TensorSpec, np.ndarray]:
    if spec.element.is_string or not array.ndim:
        what = "strings" if spec.element.is_string else "a single value"
        raise InvalidInputError(f'output "{spec.name}": expected rows of numbers for classification, it has {what}')
    rows = array.reshape(len(array), -1)
    best = best_first(rows, count)
    names = _Names(labels if len(labels) == rows.shape[1] else ())
    form = b"%.6f:%b" if spec.element.kind == "f" else b"%d:%b"
    texts = np.empty(best.shape, object)
    for row, indices in enumerate(best):
        values, classes = rows[row, indices].tolist(), map(names.__getitem__, indices.tolist())
        texts[row] = [form % pair for pair in zip(values, classes, strict=True)]
    return TensorSpec(spec.name, "string", (None, best.shape[1])), texts


class _Names(dict[int, bytes]):
    """By index: `index`, or `index:label` where there are labels."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self._labels = labels

    def __missing__(self, index: int) -> bytes:
        self[index] = name = (f"{index}:{self._labels[index]}" if self._labels else str(index)).encode()
        return name
