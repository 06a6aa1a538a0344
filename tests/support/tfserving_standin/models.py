"""What the stand-in serves: versions of SavedModels, run by TensorFlow itself, and of ONNX models."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from google.protobuf import text_format
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from tests.support.tfserving_standin.onnx_version import OnnxVersion
from tests.support.tfserving_standin.stubs import tensorflow

State = ModelVersionStatus.State


class Version(Protocol):
    """One loaded version."""

    signatures: dict[str, SignatureDef]
    is_quick: bool

    def run(self, signature_name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answers."""
        ...


class SavedModelVersion:
    """As TensorFlow loads it, with the method names that its file has."""

    is_quick = False

    def __init__(self, folder: Path) -> None:
        self._tf = tensorflow()
        self._loaded = self._tf.saved_model.load(str(folder))
        graphs = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
        graph = next(graph for graph in graphs if "serve" in graph.meta_info_def.tags)
        known = self._loaded.signatures
        self.signatures = {name: entry for name, entry in graph.signature_def.items() if name in known}

    def run(self, signature_name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        infos = self.signatures[signature_name].inputs
        dtypes = {name: self._tf.as_dtype(info.dtype) for name, info in infos.items()}
        tensors = {name: self._tf.constant(array, dtypes[name]) for name, array in inputs.items()}
        answer = self._loaded.signatures[signature_name](**tensors)
        return {name: tensor.numpy() for name, tensor in answer.items()}


def open_version(folder: Path) -> Version:
    """Opens a SavedModel or, where there is none, an ONNX model."""
    if (folder / "saved_model.pb").is_file():
        return SavedModelVersion(folder)
    return OnnxVersion(folder / "model.onnx")


@dataclass
class Record:
    """A version's state and, while it answers, what answers."""

    state: int = State.START
    error: str = ""
    loaded: Version | None = None


@dataclass
class Model:
    """A model of the configuration with the versions that were seen."""

    config: ModelConfig
    versions: dict[int, Record] = field(default_factory=dict)

    def available(self) -> dict[int, Version]:
        """Those that answer now; asked on the event loop, while `step` changes them in a thread."""
        now = {number: (record.state, record.loaded) for number, record in dict(self.versions).items()}
        return {number: loaded for number, (state, loaded) in now.items() if state == State.AVAILABLE and loaded}

    def aspired(self) -> set[int]:
        """By the version policy; the newest one where there is none."""
        root = Path(self.config.base_path)
        present = {int(path.name) for path in root.glob("*") if path.name.isdigit() and path.is_dir()}
        policy = self.config.model_version_policy
        if policy.HasField("all"):
            return present
        if policy.HasField("specific"):
            return present & set(policy.specific.versions)
        return set(sorted(present)[-max(1, policy.latest.num_versions) :])

    def step(self) -> None:
        """Loads what is new, then lets go of what is no longer wanted: no moment without a version."""
        aspired = self.aspired()
        for number in sorted(aspired):
            known = self.versions.get(number)
            if known is None or (known.state == State.END and not known.error):
                self._load(number)
        if aspired and not any(self.versions[number].loaded for number in aspired):
            return
        for number, record in self.versions.items():
            if number not in aspired and record.state == State.AVAILABLE:
                record.state, record.loaded = State.END, None

    def _load(self, number: int) -> None:
        record = self.versions[number] = Record(State.LOADING)
        try:
            record.loaded = open_version(Path(self.config.base_path) / str(number))
            record.state = State.AVAILABLE
        except Exception as error:  # noqa: BLE001 -- whatever a damaged file leads to
            record.state, record.error = State.END, f"{type(error).__name__}: {error}"[:200]


class Repository:
    """All models of a configuration file, which is read again when it changes."""

    def __init__(self, config_file: Path) -> None:
        self._file = config_file
        self._text = ""
        self.models: dict[str, Model] = {}

    def step(self) -> None:
        """Looks at the file and the folders once."""
        text = self._file.read_text()
        if text != self._text:
            self._text = text
            parsed = text_format.Parse(text, ModelServerConfig())
            configs = {config.name: config for config in parsed.model_config_list.config}
            for name, config in configs.items():
                self.models.setdefault(name, Model(config)).config = config
            for name in self.models.keys() - configs.keys():
                del self.models[name]
        for model in self.models.values():
            model.step()


def find(repository: Repository, spec: Any) -> tuple[int, Version]:
    """The version that a ModelSpec means.

    Raises:
        LookupError: (code, text) as TensorFlow Serving says it.
    """
    model = repository.models.get(spec.name)
    available = model.available() if model else {}
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        number = model.config.version_labels.get(spec.version_label) if model else None
        if number is None:
            raise LookupError("INVALID_ARGUMENT", f"Unrecognized servable version label: {spec.version_label}")
    else:
        number = spec.version.value if choice == "version" else max(available, default=None)
    if number not in available:
        wanted = f"Latest({spec.name})" if choice is None else f"Specific({spec.name}, {number})"
        raise LookupError("NOT_FOUND", f"Servable not found for request: {wanted}")
    return number, available[number]
