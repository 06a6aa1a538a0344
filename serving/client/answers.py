"""What a gateway answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """What a gateway says; what this client does not know of it is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelSpec(Answer):
    """Who answered."""

    name: str
    version: str


class ScoredClass(Answer):
    """One class of an image; `probability` is None where the model's score is no number."""

    index: int
    label: str
    probability: float | None


class Classification(Answer):
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


class Reason(Answer):
    """Why a version is not served; empty where it is."""

    error_message: str


class VersionStatus(Answer):
    """One version of a model."""

    version: str
    state: str
    status: Reason


class ServedModel(Answer):
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


class ModelStatus(Answer):
    """The versions of one model."""

    model_version_status: tuple[VersionStatus, ...]


class ServedModels(Answer):
    """The answer of `GET /v1/models`."""

    models: tuple[ServedModel, ...]


class ImageClasses(Answer):
    """One image of several."""

    classes: tuple[ScoredClass, ...] = Field(min_length=1)


class Classifications(Answer):
    """The answer to several images."""

    model_spec: ModelSpec
    images: tuple[ImageClasses, ...]


class Refusal(Answer):
    """Any answer with an error status."""

    error: str


class _TensorInfo(Answer):
    dtype: str


class _SignatureDef(Answer):
    inputs: dict[str, _TensorInfo]


class _SignatureDefMap(Answer):
    signature_def: dict[str, _SignatureDef]


class _MetadataMap(Answer):
    signature_def: _SignatureDefMap


class Metadata(Answer):
    """The answer of `GET /v1/models/NAME/metadata`, as far as an input's name and dtype are in it."""

    metadata: _MetadataMap

    def inputs(self, signature_name: str) -> dict[str, str] | None:
        """TensorFlow's names of the inputs' dtypes, such as `DT_FLOAT`; None without such a signature."""
        signature = self.metadata.signature_def.signature_def.get(signature_name)
        return None if signature is None else {name: info.dtype for name, info in signature.inputs.items()}


class InferOutput(Answer):
    """One output of an inference; its data is behind the JSON."""

    class Parameters(Answer):
        """How many bytes of it."""

        binary_data_size: int = Field(ge=0)

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Parameters


class InferHeader(Answer):
    """The JSON part of an inference's answer."""

    model_name: str
    model_version: str
    outputs: tuple[InferOutput, ...]
