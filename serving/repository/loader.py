"""Makes a version on disk ready to answer: verify, open, warm up. Runs in a thread, touches nothing shared."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from serving.backends.base import Backend
from serving.backends.onnx import OnnxBackend
from serving.batching.policy import CostModel
from serving.bundle import Task, read_labels, read_manifest, verify_files
from serving.errors import BundleError, InferenceError
from serving.images import ImageSpec
from serving.model_config import ModelConfig
from serving.repository.derivation import Derivation, derive
from serving.repository.lease import Lease
from serving.repository.local_source import LocalVersion
from serving.repository.source import Origin
from serving.signatures import Signature


class Loaded(NamedTuple):
    """What loading gives: `costs` holds what the warm-up measured, by signature; without a manifest, no task."""

    backend: Backend
    labels: tuple[str, ...]
    image: ImageSpec | None
    costs: dict[str, CostModel]
    task: Task | None = None
    derivations: Mapping[str, Derivation] = MappingProxyType({})
    lease: Lease | None = None


def load_origin(origin: Origin, config: ModelConfig, *, threads: int, warm_up_rows: tuple[int, ...]) -> Loaded:  # noqa: ARG001
    """Loads the version that is at `origin`, as its model's configuration says.

    Raises:
        BundleError: as `load_version`.
    """
    if isinstance(origin, LocalVersion):
        return load_version(origin.folder, threads=threads, warm_up_rows=warm_up_rows)
    raise TypeError(f"expected an origin that can be loaded, received {type(origin).__name__}")


def load_version(version_dir: Path, *, threads: int, warm_up_rows: tuple[int, ...]) -> Loaded:
    """Loads one version and runs it once for each of `warm_up_rows`, so that no client pays for the first run.

    Raises:
        BundleError: the files are damaged or being removed, no back end reads them, or the model fails to run.
    """
    try:
        lease = Lease.take(version_dir)
    except OSError as error:
        raise _unreadable(error) from error
    try:
        return _load(version_dir, threads, warm_up_rows)._replace(lease=lease)
    except BaseException:
        lease.close()
        raise


def _load(version_dir: Path, threads: int, warm_up_rows: tuple[int, ...]) -> Loaded:
    try:
        manifest = read_manifest(version_dir)
        if manifest is not None:
            verify_files(version_dir, manifest)
        labels = read_labels(version_dir, manifest)
        backend = OnnxBackend.load(version_dir, manifest, threads=threads)
    except OSError as error:
        raise _unreadable(error) from error
    try:
        costs = {
            name: _warm_up(backend, name, signature, warm_up_rows) for name, signature in backend.signatures.items()
        }
    except InferenceError as error:
        backend.close()
        raise BundleError(f"the model fails in its warm-up: {error}") from error
    if manifest is None:
        return Loaded(backend, labels, None, costs)
    derivations = derive(manifest.signatures, backend.signatures, labels, manifest.image)
    return Loaded(backend, labels, manifest.image, costs, manifest.task, derivations)


def _unreadable(error: OSError) -> BundleError:
    return BundleError(f"the version's files cannot be read: {error.strerror or type(error).__name__}")


def _warm_up(backend: Backend, name: str, signature: Signature, rows: tuple[int, ...]) -> CostModel:
    """Runs zeros of each batch size, the second time against the clock; nothing where the inputs' shapes are free."""
    cost = CostModel()
    for count, shapes in _made_up_shapes(signature, rows):
        inputs = {spec.name: np.zeros(shapes[spec.name], spec.element.numpy) for spec in signature.inputs}
        backend.run(name, inputs)
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
