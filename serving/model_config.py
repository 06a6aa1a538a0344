"""What the gateway shall serve: one `ModelConfig` for each model, whatever file or folder it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from serving.batching.settings import BatchSettings
from serving.bundle_files import Precision
from serving.settings import BackendName
from serving.traffic.settings import TrafficSettings
from serving.upstream import Upstream

MAX_VERSION = 2**63 - 1
"""Versions travel as int64."""

Version = Annotated[int, Field(ge=0, le=MAX_VERSION, strict=True)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latest(_Frozen):
    """The versions with the highest numbers, `latest` of them."""

    latest: int = Field(1, ge=1, strict=True)


class Specific(_Frozen):
    """These versions, as far as they are there."""

    specific: frozenset[Version] = Field(min_length=1)


def _kind(policy: object) -> str | None:
    if isinstance(policy, dict):
        return next(iter(policy), None) if len(policy) == 1 else None
    return policy if isinstance(policy, str) else type(policy).__name__.lower()


VersionPolicy = Annotated[
    Annotated[Latest, Tag("latest")] | Annotated[Specific, Tag("specific")] | Annotated[Literal["all"], Tag("all")],
    Discriminator(
        _kind,
        custom_error_type="version_policy",
        custom_error_message='expected {latest = N}, {specific = [N, …]} or "all"',
    ),
]
"""As `atelier.toml` writes it: {latest = 2}, {specific = [3, 5]} or "all"."""


class ModelConfig(TrafficSettings):
    """One model: where its versions are, which of them are served, under which labels, and to whom."""

    base_path: str = ""
    """The folder of the numbered versions, or its address; of a model on an upstream it may be missing."""
    backend: BackendName = "onnx"
    """What runs it. docs/backends.md says which one when."""
    precision: Precision = "float32"
    """Which of a bundle's ONNX models is run: `model.onnx`, or `model.int8.onnx`."""
    upstream: Upstream | None = None
    """The servers that the `tfserving` back end asks; without it, those that the gateway's own settings name."""
    version_policy: VersionPolicy = Latest()
    version_labels: Mapping[Annotated[str, Field(min_length=1)], Version] = {}
    """Label → version. They win over the same labels in the `labels.json` beside the versions."""

    batching: BatchSettings | None = None
    """What differs from the gateway's own."""
    discovered: bool = False
    """Found in a folder of models, named by nobody: without a version it may be something else, and hinders none."""

    @model_validator(mode="before")
    @classmethod
    def _take_upstream_for_a_choice(cls, values: Any) -> Any:
        """Who names an upstream has said which back end it is for."""
        if isinstance(values, dict) and values.get("upstream") and "backend" not in values:
            return {**values, "backend": "tfserving"}
        return values

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if self.upstream is not None and self.backend != "tfserving":
            raise ValueError(f'upstream: expected backend = "tfserving" beside it, received {self.backend}')
        if not self.base_path and self.backend != "tfserving":
            raise ValueError("expected a base_path, received none")
        return self

    @property
    def place(self) -> tuple[str, BackendName, Upstream | None]:
        """Where its versions are looked for."""
        return self.base_path, self.backend, self.upstream

    @property
    def policy(self) -> VersionPolicy:
        """Which versions are served; of an upstream's all that it serves, where nothing else was said."""
        is_said = self.backend != "tfserving" or "version_policy" in self.model_fields_set
        return self.version_policy if is_said else "all"

    def loads_like(self, other: ModelConfig) -> bool:
        """Whether a version that was loaded under `other` would be loaded just the same under this one."""
        ours, theirs = (one.model_dump(exclude=_NOT_OF_LOADING, exclude_unset=True) for one in (self, other))
        return ours == theirs


_NOT_OF_LOADING = {
    "base_path",
    "version_policy",
    "version_labels",
    "discovered",
    "batching",
    *TrafficSettings.model_fields,
}
"""What may change while a loaded version stays as it is; where it lies is for its origin to tell."""
