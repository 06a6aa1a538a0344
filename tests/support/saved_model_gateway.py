"""The same SavedModels run by the gateway's own process, and by TensorFlow Serving behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.tfserving import running_tfserving, write_models_config

SAVED_MODEL_BACKENDS = ("tensorflow", "tfserving")


@contextlib.contextmanager
def saved_model_gateway(models: Path, backend: str, scratch: Path) -> Iterator[RunningGateway]:
    """A gateway for all models of the folder, by one of `SAVED_MODEL_BACKENDS`; `scratch` is for what that needs."""
    if backend == "tensorflow":
        with running_gateway(models, backend="tensorflow") as running:
            yield running
        return
    names = tuple(sorted(folder.name for folder in models.iterdir()))
    config = write_models_config(scratch / "models.config", {name: models / name for name in names})
    with running_tfserving(config) as (server,):
        settings = {"tfserving_addresses": (server.address,), "tfserving_models": names, "backend": "tfserving"}
        with running_gateway(scratch / "nothing", **settings) as running:
            running.wait_until_ready()
            yield running
