"""What the gateway shall serve: one `ModelConfig` for each model, whatever file or folder it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from serving.batching.settings import BatchSettings
from serving.traffic.settings import TrafficSettings

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

    base_path: str = Field(min_length=1)
    """The folder of the numbered versions, or its address."""
    backend: Literal["onnx"] = "onnx"
    version_policy: VersionPolicy = Latest()
    version_labels: Mapping[Annotated[str, Field(min_length=1)], Version] = {}
    """Label → version. They win over the same labels in the `labels.json` beside the versions."""

    batching: BatchSettings | None = None
    """What differs from the gateway's own."""
    discovered: bool = False
    """Found in a folder of models, named by nobody: without a version it may be something else, and hinders none."""

    def loads_like(self, other: ModelConfig) -> bool:
        """Whether a version that was loaded under `other` would be loaded just the same under this one."""
        ours, theirs = (one.model_dump(exclude=_NOT_OF_LOADING, exclude_unset=True) for one in (self, other))
        return ours == theirs


_NOT_OF_LOADING = {"base_path", "version_policy", "version_labels", "discovered", *TrafficSettings.model_fields}
"""What may change while a loaded version stays as it is; where it lies is for its origin to tell."""


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with a configuration, in one sentence that starts with where."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such setting"
    if first["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {first['msg']}, received {first['input']!r}"
