"""What `:classify` answers to images: the best classes of each, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from serving.wire.ranking import best_first


class ImagesAnswer(NamedTuple):
    """What is said beside the scores; `is_single` where one image was sent as such, and none in a list."""

    model_name: str
    version: int
    labels: Sequence[str]
    top_k: int
    is_single: bool


def encode_answer(scores: Mapping[str, np.ndarray], answer: ImagesAnswer) -> bytes:
    """`{"model_spec": …, "classes": [{"index", "label", "probability"}, …]}`, best first, or `"images"` of such.

    `scores` is one array [images, classes]. A class without a label is called by its index.
    """
    (rows,) = scores.values()
    best = best_first(rows, answer.top_k).tolist()
    classes = [_classes(row, order, answer.labels) for row, order in zip(rows, best, strict=True)]
    document: dict[str, Any] = {"model_spec": {"name": answer.model_name, "version": str(answer.version)}}
    if answer.is_single:
        (document["classes"],) = classes
    else:
        document["images"] = [{"classes": found} for found in classes]
    return orjson.dumps(document)


def _classes(row: np.ndarray, order: list[int], labels: Sequence[str]) -> list[dict[str, Any]]:
    probabilities = row[order].astype(np.float64).tolist()
    known = len(labels)
    return [
        {"index": at, "label": labels[at] if at < known else str(at), "probability": probability}
        for at, probability in zip(order, probabilities, strict=True)
    ]
