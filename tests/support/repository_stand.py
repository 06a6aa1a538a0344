"""A manager whose loads wait for the test, over a models folder of empty version folders."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from serving.batching.policy import CostModel
from serving.batching.settings import BatchSettings
from serving.bundle_files import MANIFEST
from serving.errors import BundleError
from serving.model_config import ModelConfig
from serving.observability.metrics import Metrics
from serving.repository.catalogue import Catalogue, ScannedFolder
from serving.repository.loader import Loaded
from serving.repository.local_source import LocalSource, LocalVersion
from serving.repository.manager import Manager
from serving.repository.model_cache import ModelCache
from serving.repository.servable import Servable
from serving.repository.source import Origin, Source
from serving.repository.store import is_address
from serving.repository.store_source import StoreSource
from serving.repository.stored_routing import StoredFiles
from serving.repository.transition import State
from serving.signatures import DEFAULT_SIGNATURE, Signature, Tensors, TensorSpec
from serving.version_labels import VERSION_LABELS
from tests.support.files import replace_text
from tests.support.stepping import HandExecutor, turn

ECHO = Signature((TensorSpec("x", "float32", (None,)),), (TensorSpec("y", "float32", (None,)),))


@dataclass
class EchoBackend:
    """Answers `x` as `y`, and remembers that it was closed."""

    signatures: Mapping[str, Signature] = field(default_factory=lambda: {DEFAULT_SIGNATURE: ECHO})
    closed: int = 0
    platform: str = "echo"

    def run(self, signature_name: str, inputs: Tensors) -> dict[str, np.ndarray]:
        assert not self.closed, f"{signature_name} runs after it was closed"
        return {"y": inputs["x"]}

    def close(self) -> None:
        self.closed += 1


class Loads:
    """The manager's `load`: fails where the version folder holds a file `broken`, with that file's text."""

    def __init__(self) -> None:
        self.begun: list[Path] = []
        self.backends: dict[str, EchoBackend] = {}

    def __call__(self, origin: Origin, config: ModelConfig) -> Loaded:
        assert isinstance(origin, LocalVersion)
        version_dir = origin.folder
        self.begun.append(version_dir)
        broken = version_dir / "broken"
        if broken.exists():
            raise BundleError(broken.read_text())
        if (version_dir / "crash").exists():
            raise RuntimeError("not for clients")
        return self.echo(version_dir)

    def echo(self, version_dir: Path) -> Loaded:
        """What any version is loaded as."""
        backend = self.backends[f"{version_dir.parent.name}/{version_dir.name}"] = EchoBackend()
        return Loaded(backend, (), None, {DEFAULT_SIGNATURE: CostModel()})


@dataclass
class Configured:
    """A catalogue whose models the test sets."""

    models: dict[str, ModelConfig] = field(default_factory=dict)
    is_slow: bool = False

    def read(self) -> dict[str, ModelConfig]:
        return dict(self.models)

    def problems(self) -> dict[str, str]:
        return {}


class RepositoryStand:
    """A manager stepped by hand; `load_next` lets one load go on."""

    def __init__(
        self,
        root: Path,
        catalogue: Catalogue | None = None,
        loads: Loads | None = None,
        state_dir: Path | None = None,
        fetch_executor: HandExecutor | None = None,
    ) -> None:
        self.root = root
        self.loads = loads or Loads()
        self.metrics = Metrics()
        self.refusal: BundleError | None = None
        """Raised instead of serving what is loaded, where it is set."""
        self.executor = HandExecutor(holds=lambda function: function is self.loads)
        self.manager = Manager(
            catalogue or ScannedFolder(root),
            open_source=self._open_source,
            load=self.loads,
            serve=self._serve,
            executor=self.executor,
            fetch_executor=fetch_executor or self.executor,
            files_executor=self.executor,
            slow_executor=self.executor,
            stored_files=StoredFiles(state_dir),
            metrics=self.metrics,
        )

    def version(self, path: str, *, manifest: bool = True, **files: str) -> Path:
        """Makes a version folder such as `digits/1`, with files of these names and texts."""
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)
        if manifest:
            (folder / MANIFEST).touch()
        for name, text in files.items():
            (folder / name).write_text(text)
        return folder

    async def step(self, *, loads: int | None = None) -> None:
        """Looks at the folder; then lets `loads` loads end, or all that were begun, one after the other."""
        await self.manager.step()
        await turn()
        while self.executor.kept and (loads is None or loads > 0):
            await self.load_next()
            loads = None if loads is None else loads - 1

    async def load_next(self) -> None:
        """Lets the load that waits longest end."""
        self.executor.run_next()
        await turn()

    def states(self, name: str = "digits") -> dict[int, str]:
        """State names by version, newest first."""
        return {status.version: status.state.name for status in self.manager.statuses(name)}

    def names(self) -> list[str]:
        """The models that are known."""
        return [model.name for model in self.manager.models()]

    def served(self, name: str = "digits", label: str | None = None) -> int:
        """The version that answers who asks for none, or for a label."""
        return self.manager.resolve(name, label=label).version

    def label(self, name: str = "digits", **labels: int) -> None:
        """Replaces the model's `labels.json`."""
        replace_text(self.root / name / VERSION_LABELS, json.dumps(labels))

    def routed(self, times: int, name: str = "digits", **headers: str) -> Counter[int]:
        """The versions that answer as many requests which name none, with these headers."""
        sent = {header.replace("_", "-").encode(): value.encode() for header, value in headers.items()}
        return Counter(self.manager.route(name, sent).version for _ in range(times))

    def closed(self, path: str) -> int:
        """How often the back end of that version was closed."""
        return self.loads.backends[path].closed

    def available(self, name: str = "digits") -> set[int]:
        """The versions that can be asked by their number."""
        return {status.version for status in self.manager.statuses(name) if status.state is State.AVAILABLE}

    def _open_source(self, _: str, config: ModelConfig) -> Source:
        if is_address(config.base_path):
            return StoreSource(config.base_path, ModelCache(self.root / ".cache"), 0.0)
        return LocalSource(Path(config.base_path))

    def _serve(self, name: str, version: int, loaded: Loaded, config: ModelConfig) -> Servable:
        if self.refusal is not None:
            raise self.refusal
        return Servable(
            name,
            version,
            backend=loaded.backend,
            labels=loaded.labels,
            image=loaded.image,
            costs=loaded.costs,
            batching=BatchSettings(),
            own_batching=config.batching,
            executor=self.executor,
            metrics=self.metrics,
        )
