"""Runs a version that was just opened, so that no client pays for its first runs, and says what they cost."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from serving.backends.base import Backend
from serving.batching.policy import CostModel
from serving.bundle_files import WARM_UP
from serving.errors import BundleError, InferenceError, InvalidInputError
from serving.signatures import Signature, Tensors
from serving.wire.warm_up_file import warm_up_requests

log = logging.getLogger("atelier.repository")


def warm_up(backend: Backend, version_dir: Path, rows: tuple[int, ...]) -> dict[str, CostModel]:
    """Runs zeros in batches of these sizes, then what the version's own file asks; the costs of zeros by signature.

    Answers that are NaN are logged, no more: to zeros, or to the one grey of an export's file, a model that scales each
    image by its own contrast gives nothing else.

    Raises:
        BundleError: the model fails, or what is in the file.
        OSError: the file cannot be read.
    """
    try:
        nan: set[str] = set()
        costs = {}
        for name, signature in backend.signatures.items():
            costs[name] = _run_zeros(backend, name, signature, rows, nan)
        path = version_dir / WARM_UP
        for name, inputs in warm_up_requests(path.read_bytes(), backend.signatures) if path.is_file() else ():
            nan |= _nan_of(backend.run(name, inputs))
    except (InferenceError, InvalidInputError) as error:
        backend.close()
        raise BundleError(f"the model fails in its warm-up: {error}") from error
    except BaseException:
        backend.close()
        raise
    if nan:
        what = f"{version_dir.parent.name} version {version_dir.name}"
        log.warning("%s answers NaN in its warm-up, in %s: is it trained?", what, ", ".join(sorted(nan)))
    return costs


def _nan_of(outputs: Tensors) -> set[str]:
    """The names of those that hold NaN."""
    return {name for name, values in outputs.items() if values.dtype != object and np.isnan(values).any()}


def _run_zeros(backend: Backend, name: str, signature: Signature, rows: tuple[int, ...], nan: set[str]) -> CostModel:
    """The second run of each size against the clock; nothing where shapes are free, or the model takes no zeros.

    Outputs that hold NaN are added to `nan`.
    """
    cost = CostModel()
    for count, shapes in _made_up_shapes(signature, rows):
        inputs = {spec.name: np.zeros(shapes[spec.name], spec.element.numpy) for spec in signature.inputs}
        try:
            nan |= _nan_of(backend.run(name, inputs))
        except InvalidInputError:
            return cost
        started_at = time.thread_time()
        backend.run(name, inputs)
        cost.observe(count, time.thread_time() - started_at)
    return cost


def _made_up_shapes(signature: Signature, rows: tuple[int, ...]) -> Iterator[tuple[int, dict[str, list[int]]]]:
    """Batch sizes with the inputs' shapes; what has no rows counts as one."""
    specs = signature.inputs
    batched = signature.is_batched
    known = [spec.shape[1:] if batched else spec.shape for spec in specs]
    if any(spec.element.is_string or spec.any_rank for spec in specs) or any(None in shape for shape in known):
        return
    own = specs[0].shape[0] if batched else 1
    for count in rows if own is None else (own,):
        yield (
            count,
            {
                spec.name: [*([count] if batched else []), *(size or 0 for size in shape)]
                for spec, shape in zip(specs, known, strict=True)
            },
        )
