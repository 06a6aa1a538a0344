"""The models that HandleReloadConfigRequest has brought, in a file that all workers of a gateway share."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from serving.model_config import ModelConfig
from serving.repository.watched_file import write_whole


class Reloaded(BaseModel):
    """The models, and which `models.config` they replace, by its digest; that file wins again when it changes."""

    model_config = ConfigDict(frozen=True)

    models: dict[str, ModelConfig]
    instead_of: str


def read_reloaded(path: Path) -> Reloaded | None:
    """The last reload; None where there was none."""
    try:
        return Reloaded.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None


def write_reloaded(path: Path, reloaded: Reloaded) -> None:
    """Replaces the last reload, in one moment.

    Raises:
        OSError: the folder cannot be written to.
    """
    write_whole(path, reloaded.model_dump_json(exclude_unset=True).encode())
