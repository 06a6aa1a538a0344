"""A gateway whose labels and weights the test changes, and its admin API."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.bundles import write_bundle
from tests.support.gateway import RunningGateway, running_gateway

TOKEN = "correct-horse-battery-staple"
MODEL = "/admin/v1/models/brightness"


class Admin:
    """The admin API of a gateway for `brightness`, asked with its token."""

    def __init__(self, gateway: RunningGateway, folder: Path) -> None:
        self.gateway = gateway
        self.folder = folder
        self.rest = httpx.Client(base_url=gateway.rest_url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60.0)

    def model(self) -> dict[str, Any]:
        return dict(self.rest.get(MODEL).json())

    def labels(self) -> dict[str, int]:
        return {label: one["answers"] for label, one in self.model()["labels"].items()}

    def put_label(self, label: str, version: int, **more: Any) -> httpx.Response:
        return self.rest.put(f"{MODEL}/labels/{label}", json={"version": version, **more})

    def roll_back(self, **body: Any) -> httpx.Response:
        return self.rest.post(f"{MODEL}/rollback", json=body)


@contextlib.contextmanager
def administered(tmp_path: Path, versions: int, **settings: Any) -> Iterator[Admin]:
    """A gateway of `brightness` whose label stable names version 1, and which splits nothing else off."""
    folder = tmp_path / "models" / "brightness"
    for version in range(1, versions + 1):
        write_bundle(folder / str(version), scale=version)
    (folder / "labels.json").write_text('{"stable": 1}')
    (folder / "traffic.json").write_text('{"traffic": {"stable": 1}}')
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with running_gateway(tmp_path / "models", admin_token_file=tmp_path / "token", **settings) as gateway:
        admin = Admin(gateway, folder)
        with admin.rest:
            yield admin
