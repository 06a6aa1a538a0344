"""TensorFlow Serving's list of models: the file `models.config`, and what HandleReloadConfigRequest sends.

Rules and texts follow tensorflow_serving/model_servers/server_core.cc and
tensorflow_serving/config/model_server_config.proto.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from pydantic import ValidationError

from serving.errors import InvalidInputError
from serving.model_config import Latest, ModelConfig, Specific, VersionPolicy
from serving.repository.store import is_relative
from serving.validation import first_problem_of_settings
from serving.wire import atelier_tfs_pb2 as wire

log = logging.getLogger("atelier.repository")

_PLATFORM = "tensorflow"
"""The only one that TensorFlow Serving has. The gateway looks for what its back end reads in the same folders."""
_PACKAGE = f"{wire.DESCRIPTOR.package}."


def parse_models_config(text: str, folder: Path) -> dict[str, ModelConfig]:
    """The models that a `models.config` lists; base paths that are relative are so to `folder`, the file's.

    Raises:
        InvalidInputError: it cannot be read, or lists no models that could be served.
    """
    config = wire.ModelServerConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        where = f"line {error.GetLine()}, column {error.GetColumn()}: " if error.GetLine() else ""
        reason = str(error).removeprefix(f"{error.GetLine()}:{error.GetColumn()} : ").replace(_PACKAGE, "")
        raise InvalidInputError(f"{where}{reason}") from error
    if config.WhichOneof("config") == "custom_model_config":
        raise InvalidInputError("custom_model_config is not supported, expected model_config_list")
    for model in config.model_config_list.config:
        if is_relative(model.base_path):
            model.base_path = str(folder.absolute() / model.base_path)
    return listed_models(config.model_config_list)


def listed_models(models: wire.ModelConfigList) -> dict[str, ModelConfig]:
    """The models of a list, by name.

    Raises:
        InvalidInputError: a name twice or missing, a relative base path, or something that cannot be served.
    """
    found: dict[str, ModelConfig] = {}
    for model in models.config:
        if not model.name:
            raise InvalidInputError("expected a name for every model in config list, received one without")
        if model.name in found:
            raise InvalidInputError(f"Illegal to list model {model.name} multiple times in config list")
        if is_relative(model.base_path):
            raise InvalidInputError(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
        if model.model_platform not in {"", _PLATFORM} or model.model_type == wire.OTHER:
            platform = model.model_platform or "another model_type"
            raise InvalidInputError(f'model {model.name}: expected model_platform "{_PLATFORM}", received {platform}')
        found[model.name] = _config(model)
    _pass_over_logging([model.name for model in models.config if model.HasField("logging_config")])
    return found


def _config(model: wire.ModelConfig) -> ModelConfig:
    said: Mapping[str, object] = {
        "base_path": model.base_path,
        "version_policy": _policy(model.model_version_policy),
        "version_labels": dict(model.version_labels) or None,
    }
    try:
        return ModelConfig.model_validate({name: value for name, value in said.items() if value is not None})
    except ValidationError as error:
        raise InvalidInputError(f"model {model.name}: {first_problem_of_settings(error)}") from error


def _policy(policy: wire.VersionPolicy) -> VersionPolicy | None:
    match policy.WhichOneof("policy_choice"):
        case "latest":
            return Latest(latest=policy.latest.num_versions or 1)
        case "specific":
            return Specific(specific=frozenset(policy.specific.versions)) if policy.specific.versions else None
        case "all":
            return "all"
        case _:
            return None


def _pass_over_logging(names: list[str]) -> None:
    if names:
        log.info("logging_config of %s is passed over: the gateway does not log requests", ", ".join(names))
