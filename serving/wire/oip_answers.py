"""What an inference of the Open Inference Protocol answers, before it is written as a message or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from serving.signatures import TensorSpec
from serving.wire.oip_classes import as_classes


class Answer(NamedTuple):
    """What is said beside the numbers: `specs` are the outputs in their order, those in `class_counts` as classes."""

    model_name: str
    version: int
    request_id: str | None
    specs: Sequence[TensorSpec]
    class_counts: Mapping[str, int]
    labels: Sequence[str]

    def outputs(self, arrays: Mapping[str, np.ndarray]) -> list[tuple[TensorSpec, np.ndarray]]:
        """The outputs as they are told.

        Raises:
            InvalidInputError: see `as_classes`.
        """
        outputs = [(spec, arrays[spec.name]) for spec in self.specs]
        return as_classes(outputs, self.class_counts, self.labels) if self.class_counts else outputs

    def is_written_one_by_one(self, name: str, array: np.ndarray) -> bool:
        """Whether an output's values are written one after the other even where numbers are copied."""
        return array.dtype.hasobject or bool(self.class_counts.get(name))
