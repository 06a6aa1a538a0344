"""Inputs that no data set holds: what a model is asked besides its examples, or instead of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from serving.signatures import Signature, Tensors, TensorSpec

MAX_BATCH_ROWS = 256
MAX_BATCH_BYTES = 17 * 2**20
"""Of the inputs; what a convolution makes of uint8 pixels takes about a hundred times as much. The largest batch of
probes fits with photographs of 150 x 150."""
PROBE_BATCHES = (1, 2, 7, 32, 257)
PROBE_SEED = 20
RANDOM = "random"
"""The title of the probes that are."""
FREE_SIZE = 32
"""Of a dimension, other than the first, that the model leaves free."""
PIXEL_LEVELS = (0, 255)
NUMBERS = (0, -1_000_000, 1_000_000)
RANDOM_NUMBERS_DEVIATION = 100.0
INTEGERS = (0, 1)
RANDOM_INTEGERS = 100
"""Random ones are below. A model that looks them up in a smaller table refuses them, which is its right."""
WORDS = (b"", b"a", b"The quick brown fox", "Zażółć gęślą jaźń, 1 2 3!".encode())


def batches(inputs: np.ndarray) -> list[np.ndarray]:
    """The inputs in order, as views of as many rows as one batch may have; the last one is what is left."""
    rows = max(1, min(MAX_BATCH_ROWS, MAX_BATCH_BYTES // max(1, inputs[0].nbytes)))
    return [inputs[start : start + rows] for start in range(0, len(inputs), rows)]


def probes(signature: Signature) -> Mapping[str, Sequence[Tensors]]:
    """Extreme and random inputs for the signature by what they are; always the same.

    Batches have the sizes `PROBE_BATCHES`, as far as one batch may have them and the signature leaves it free.
    """
    specs = signature.inputs
    levels = [_levels(spec) for spec in specs]
    found: dict[str, Sequence[Tensors]] = {}
    for step in range(max(map(len, levels), default=0)):
        chosen = [one[min(step, len(one) - 1)] for one in levels]
        title = "all " + ", ".join(dict.fromkeys(_words(level) for level in chosen))
        found[title] = [
            {
                spec.name: np.full(_shape(spec, rows), level, spec.element.numpy)
                for spec, level in zip(specs, chosen, strict=True)
            }
            for rows in _row_counts(specs)
        ]
    generator = np.random.default_rng(PROBE_SEED)
    found[RANDOM] = [
        {spec.name: _random(generator, spec, _shape(spec, rows)) for spec in specs} for rows in _row_counts(specs)
    ]
    return found


def _levels(spec: TensorSpec) -> Sequence[float | bytes]:
    dtype = spec.element.numpy
    if spec.element.is_string:
        return WORDS[:2]
    if dtype == np.uint8:
        return PIXEL_LEVELS
    return NUMBERS if spec.element.kind == "f" else INTEGERS


def _random(generator: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...]) -> np.ndarray:
    dtype = spec.element.numpy
    if spec.element.is_string:
        return np.array(WORDS, dtype=object)[generator.integers(0, len(WORDS), shape)]
    if dtype == np.uint8:
        return generator.integers(0, 256, shape, np.uint8)
    if spec.element.kind == "f":
        return np.asarray(generator.normal(0, RANDOM_NUMBERS_DEVIATION, shape)).astype(dtype)
    return np.asarray(generator.integers(0, 2 if dtype.kind == "b" else RANDOM_INTEGERS, shape)).astype(dtype)


def _row_counts(specs: Sequence[TensorSpec]) -> Sequence[int]:
    """How many rows the batches have: one where there is no free first dimension to vary."""
    if not all(spec.shape[:1] == (None,) for spec in specs):
        return (1,)
    row_bytes = sum(math.prod(_shape(spec, 1)) * spec.element.numpy.itemsize for spec in specs)
    return [rows for rows in PROBE_BATCHES if rows == 1 or rows * row_bytes <= MAX_BATCH_BYTES]


def _shape(spec: TensorSpec, rows: int) -> tuple[int, ...]:
    first = (rows if size is None else size for size in spec.shape[:1])
    return (*first, *(FREE_SIZE if size is None else size for size in spec.shape[1:]))


def _words(level: float | bytes) -> str:
    return repr(level.decode()) if isinstance(level, bytes) else f"{level:,}"
