"""Which kind of source a model's configuration asks for."""

from __future__ import annotations

from pathlib import Path

from serving.model_config import ModelConfig
from serving.repository.local_source import LocalSource
from serving.repository.source import Source


def open_source(config: ModelConfig) -> Source:
    """What to look at for the model's versions; opens nothing yet."""
    return LocalSource(Path(config.base_path))
