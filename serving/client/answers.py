"""What a gateway answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelSpec(_Answer):
    """Who answered."""

    name: str
    version: str


class ScoredClass(_Answer):
    """One class of an image; `probability` is None where the model's score is no number."""

    index: int
    label: str
    probability: float | None


class Classification(_Answer):
    """The best classes of an image, best first, and the version that found them."""

    model_spec: ModelSpec
    classes: tuple[ScoredClass, ...] = Field(min_length=1)

    @property
    def best(self) -> ScoredClass:
        """The most probable class."""
        return self.classes[0]


@dataclass(frozen=True)
class Prediction:
    """The outputs by name, and the version that they are from."""

    model: str
    version: int
    outputs: Mapping[str, np.ndarray]

    @property
    def output(self) -> np.ndarray:
        """The only output.

        Raises:
            ValueError: there are several.
        """
        if len(self.outputs) != 1:
            raise ValueError(f"{self.model} has several outputs, ask for one by name: {', '.join(self.outputs)}")
        return next(iter(self.outputs.values()))


class Reason(_Answer):
    """Why a version is not served; empty where it is."""

    error_message: str


class VersionStatus(_Answer):
    """One version of a model."""

    version: str
    state: str
    status: Reason


class ServedModel(_Answer):
    """One model with all versions that the gateway knows, newest first; the task where it is known."""

    name: str
    task: str | None = None
    model_version_status: tuple[VersionStatus, ...]
    version_labels: Mapping[str, str] = {}
    """Label → version, of those that can be asked for now."""

    @property
    def is_available(self) -> bool:
        """Whether a version answers; a stray folder beside the models is listed too, and has none."""
        return any(status.state == "AVAILABLE" for status in self.model_version_status)


class ModelStatus(_Answer):
    """The versions of one model."""

    model_version_status: tuple[VersionStatus, ...]


class ServedModels(_Answer):
    """The answer of `GET /v1/models`."""

    models: tuple[ServedModel, ...]


class ImageClasses(_Answer):
    """One image of several."""

    classes: tuple[ScoredClass, ...] = Field(min_length=1)


class Classifications(_Answer):
    """The answer to several images."""

    model_spec: ModelSpec
    images: tuple[ImageClasses, ...]


class Refusal(_Answer):
    """Any answer with an error status."""

    error: str


class _TensorInfo(_Answer):
    dtype: str


class _SignatureDef(_Answer):
    inputs: dict[str, _TensorInfo]


class _SignatureDefMap(_Answer):
    signature_def: dict[str, _SignatureDef]


class _MetadataMap(_Answer):
    signature_def: _SignatureDefMap


class Metadata(_Answer):
    """The answer of `GET /v1/models/NAME/metadata`, as far as an input's name and dtype are in it."""

    metadata: _MetadataMap

    def inputs(self, signature_name: str) -> dict[str, str] | None:
        """TensorFlow's names of the inputs' dtypes, such as `DT_FLOAT`; None without such a signature."""
        signature = self.metadata.signature_def.signature_def.get(signature_name)
        return None if signature is None else {name: info.dtype for name, info in signature.inputs.items()}


class InferOutput(_Answer):
    """One output of an inference; its data is behind the JSON."""

    class Parameters(_Answer):
        """How many bytes of it."""

        binary_data_size: int = Field(ge=0)

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Parameters


class InferHeader(_Answer):
    """The JSON part of an inference's answer."""

    model_name: str
    model_version: str
    outputs: tuple[InferOutput, ...]
