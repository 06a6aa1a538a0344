"""What the gateway's own settings say of models that say nothing else themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from serving.batching.settings import BatchSettings
from serving.bundle_files import Precision
from serving.model_config import ModelConfig
from serving.settings import BackendName, ServingSettings
from serving.upstream import Upstream

RPCS_OF_A_SERVER = 2
"""Batches that are on their way to each server of an upstream: while it runs one, it has the next; docs/backends.md."""


class Defaults(NamedTuple):
    """The gateway's back end, and the `models` that its settings name on its upstream."""

    backend: BackendName = "onnx"
    precision: Precision = "float32"
    upstream: Upstream | None = None
    instances: int = 1
    models: Mapping[str, ModelConfig] = MappingProxyType({})


def defaults_of(settings: ServingSettings) -> Defaults:
    """What the gateway's settings say."""
    named = {name: ModelConfig(backend="tfserving") for name in settings.tfserving_models}
    return Defaults(settings.backend, settings.precision, settings.upstream, settings.instances, named)


def with_defaults(models: Mapping[str, ModelConfig], gateway: Defaults) -> dict[str, ModelConfig]:
    """The models with the gateway's back end, precision and upstream where they have none of their own."""
    return {name: _with_defaults(config, gateway) for name, config in models.items()}


def _with_defaults(config: ModelConfig, gateway: Defaults) -> ModelConfig:
    changes: dict[str, Any] = {}
    if "backend" not in config.model_fields_set and gateway.backend != config.backend:
        changes["backend"] = gateway.backend
    if "precision" not in config.model_fields_set and gateway.precision != config.precision:
        changes["precision"] = gateway.precision
    if changes.get("backend", config.backend) == "tfserving":
        upstream = changes["upstream"] = config.upstream or gateway.upstream
        own = config.batching or BatchSettings()
        if upstream is not None and "instances" not in own.model_fields_set and gateway.instances == 1:
            instances = RPCS_OF_A_SERVER * len(upstream.addresses)
            changes["batching"] = own.model_copy(update={"instances": instances})
    return config.model_copy(update=changes) if changes else config
