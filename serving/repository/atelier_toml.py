"""The tables `[models.NAME]` of `atelier.toml`: what the gateway's own file says of a model.

A table may describe a model of its own, by `base_path`, or say of one that is found elsewhere (in the models folder, in
`models.config`) what was not said there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from serving.errors import InvalidInputError
from serving.model_config import ModelConfig
from serving.repository.store import is_relative
from serving.validation import first_problem_of_settings

Tables = Mapping[str, Mapping[str, Any]]
"""Checked settings of a model by name; `base_path` may be missing."""

_NO_BASE_PATH = "/"
_TABLES = TypeAdapter(dict[str, dict[str, Any]])


def parse_model_tables(text: str, folder: Path) -> Tables:
    """The tables of an `atelier.toml`; base paths that are relative are so to `folder`, the file's.

    Raises:
        InvalidInputError: no TOML, or a setting that no model has.
    """
    try:
        tables = _TABLES.validate_python(tomllib.loads(text).get("models", {}))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"no TOML: {error}") from error
    except ValidationError as error:
        raise InvalidInputError(f"models.{first_problem_of_settings(error)}") from error
    for name, table in tables.items():
        if "discovered" in table:
            raise InvalidInputError(f"models.{name}.discovered: there is no such setting")
        try:
            ModelConfig.model_validate({"base_path": _NO_BASE_PATH, **table})
        except ValidationError as error:
            raise InvalidInputError(f"models.{name}.{first_problem_of_settings(error)}") from error
        if is_relative(table.get("base_path", _NO_BASE_PATH)):
            table["base_path"] = str(folder.absolute() / table["base_path"])
    return tables


def with_tables(
    models: Mapping[str, ModelConfig], tables: Tables, *, only_listed: bool = False
) -> dict[str, ModelConfig]:
    """The models with what their tables add, and those that only have a table, unless `only_listed`.

    What was said of a model where it is listed counts; a folder that was merely found has said nothing.
    """
    merged = {name: _with_table(config, tables.get(name, {})) for name, config in models.items()}
    own = {
        name: ModelConfig.model_validate(table)
        for name, table in tables.items()
        if name not in models and has_place(table) and not only_listed
    }
    return {**merged, **own}


def has_place(table: Mapping[str, Any]) -> bool:
    """Whether a table says where its model is: in a folder, or on an upstream."""
    return "base_path" in table or "upstream" in table or table.get("backend") == "tfserving"


def _with_table(config: ModelConfig, table: Mapping[str, Any]) -> ModelConfig:
    if not table:
        return config
    said = {name: getattr(config, name) for name in config.model_fields_set}
    if config.discovered:
        return ModelConfig.model_validate({"base_path": said["base_path"], **table})
    return ModelConfig.model_validate({**table, **said})
