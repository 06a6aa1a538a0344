"""Makes a version ready to answer: verify, open, warm up. Runs in a thread, touches nothing shared."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from serving.backends.base import Backend, RemoteBackend
from serving.batching.policy import CostModel
from serving.batching.settings import BatchSettings
from serving.bundle import Manifest, Task, read_labels, read_manifest, verify_files
from serving.errors import BundleError, ServingError
from serving.images import ImageSpec
from serving.model_config import ModelConfig
from serving.repository.derivation import Derivation, derive
from serving.repository.lease import Lease
from serving.repository.local_source import LocalVersion
from serving.repository.model_cache import ModelCache
from serving.repository.source import Origin, RemoteOrigin
from serving.repository.store_source import StoreVersion
from serving.repository.warm_up import warm_up

_QUICK_S = 1e-3
"""The processor time of a full batch, below which handing a part of it to another thread takes longer than it saves."""


class Loaded(NamedTuple):
    """What loading gives: `costs` holds what the warm-up measured, by signature; without a manifest, no task."""

    backend: Backend | RemoteBackend
    labels: tuple[str, ...]
    image: ImageSpec | None
    costs: dict[str, CostModel]
    task: Task | None = None
    derivations: Mapping[str, Derivation] = MappingProxyType({})
    lease: Lease | None = None

    def close(self) -> None:
        """Gives everything back: nobody will serve it."""
        self.backend.close()
        if self.lease is not None:
            self.lease.close()


class LoadOptions(NamedTuple):
    """How models are opened; `batching` is the gateway's, as far as a model does not say otherwise.

    `onnx_threads` of 0 is one thread for a model that is quick with one, and `cores` for others.
    """

    batching: BatchSettings = BatchSettings()
    onnx_threads: int = 0
    tensorflow_threads: int = 0
    cores: int = 1


def load_origin(origin: Origin, config: ModelConfig, options: LoadOptions, cache: ModelCache) -> Loaded:
    """Loads the version that is at `origin`, as its model's configuration says.

    Raises:
        BundleError: as `load_version`; of a version on an upstream, that it cannot be asked.
    """
    if isinstance(origin, LocalVersion):
        return load_version(origin.folder, config, options)
    if isinstance(origin, StoreVersion):
        return load_version(cache.fetch(origin.base_path, origin.name), config, options)
    if isinstance(origin, RemoteOrigin):
        return load_remote(origin, config)
    raise TypeError(f"expected an origin that can be loaded, received {type(origin).__name__}")


def load_version(version_dir: Path, config: ModelConfig, options: LoadOptions) -> Loaded:
    """Loads one version and runs it, so that no client pays for the first run.

    It is run in batches of its `BatchSettings.warm_up_rows`, and with the requests that its own warm-up file holds.

    Raises:
        BundleError: the files are damaged or being removed, no back end reads them, or the model fails to run.
    """
    try:
        lease = Lease.take(version_dir)
    except OSError as error:
        raise _unreadable(error) from error
    try:
        return _load(version_dir, config, options)._replace(lease=lease)
    except BaseException:
        lease.close()
        raise


def load_remote(origin: RemoteOrigin, config: ModelConfig) -> Loaded:
    """Asks an upstream for a version; labels and image preprocessing are the bundle's, where it lies here too.

    Raises:
        BundleError: it cannot be asked.
    """
    try:
        backend = origin.load()
    except ServingError as error:
        raise BundleError(str(error)) from error
    costs = {name: CostModel() for name in backend.signatures}
    folder = Path(config.base_path) / str(origin.version)
    if not config.base_path or not folder.is_dir():
        return Loaded(backend, (), None, costs)
    try:
        manifest = read_manifest(folder)
        labels = read_labels(folder, manifest)
    except OSError as error:
        raise _unreadable(error) from error
    if manifest is None:
        return Loaded(backend, labels, None, costs)
    return Loaded(backend, labels, manifest.image, costs, manifest.task)


def _load(version_dir: Path, config: ModelConfig, options: LoadOptions) -> Loaded:
    try:
        manifest = read_manifest(version_dir)
        if manifest is not None:
            verify_files(version_dir, manifest)
        labels = read_labels(version_dir, manifest)
        backend, costs = _open_warm(version_dir, manifest, config, options)
    except OSError as error:
        raise _unreadable(error) from error
    if manifest is None:
        return Loaded(backend, labels, None, costs)
    derivations = derive(manifest.signatures, backend.signatures, labels, manifest.image)
    return Loaded(backend, labels, manifest.image, costs, manifest.task, derivations)


def _open_warm(
    version_dir: Path, manifest: Manifest | None, config: ModelConfig, options: LoadOptions
) -> tuple[Backend, dict[str, CostModel]]:
    """The back end, and what its warm-up cost; ONNX Runtime's threads cost a quick model more than they give."""
    rows = options.batching.of_model(config.batching).warm_up_rows
    threads = options.onnx_threads or options.cores
    backend = _open(version_dir, manifest, config, options._replace(onnx_threads=threads))
    costs = warm_up(backend, version_dir, rows)
    largest = max(rows)
    is_quick = all(cost.predict_s(largest) <= _QUICK_S for cost in costs.values())
    if config.backend != "onnx" or threads == options.onnx_threads or not is_quick:
        return backend, costs
    backend.close()
    backend = _open(version_dir, manifest, config, options._replace(onnx_threads=1))
    return backend, warm_up(backend, version_dir, rows)


def _open(version_dir: Path, manifest: Manifest | None, config: ModelConfig, options: LoadOptions) -> Backend:
    """Opens the version in its back end, of which nothing is imported before."""
    backend: Backend
    if config.backend == "tensorflow":
        try:
            module = import_module("serving.backends.tensorflow")
        except ModuleNotFoundError as error:
            raise BundleError(
                'the tensorflow back end needs TensorFlow, which is not installed: pip install "atelier[tensorflow]"'
            ) from error
        backend = module.TensorFlowBackend.load(version_dir, manifest, threads=options.tensorflow_threads)
    else:
        module = import_module("serving.backends.onnx")
        backend = module.OnnxBackend.load(
            version_dir, manifest, threads=options.onnx_threads, precision=config.precision
        )
    return backend


def _unreadable(error: OSError) -> BundleError:
    return BundleError(f"the version's files cannot be read: {error.strerror or type(error).__name__}")
