"""When `/openapi.json` is made anew."""

from __future__ import annotations

import weakref
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serving.errors import ModelNotFoundError
from serving.frontends.openapi import pages
from serving.frontends.openapi.pages import OpenApi
from serving.repository.manager import Manager
from serving.repository.servable import Servable


class Version:
    """A version as far as the page looks at it."""

    def __init__(self, version: int) -> None:
        self.version = version


class OneModel:
    """Has some versions of one model, the last of which answers where none is named."""

    def __init__(self, *numbers: int) -> None:
        self.versions = [Version(number) for number in numbers]

    def models(self) -> list[Any]:
        return [SimpleNamespace(name="m", versions=self.versions)]

    def resolve(self, name: str, number: int | None = None) -> Servable:
        for version in reversed(self.versions):
            if number in {None, version.version}:
                return cast("Servable", version)
        raise ModelNotFoundError(name)


async def asked(page: OpenApi) -> bytes:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await page.document(send)
    return b"".join(message.get("body", b"") for message in sent)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    """Of which versions a document was made, each time."""
    found: list[list[list[int]]] = []

    def build(_: str, models: list[list[Version]], __: int) -> list[list[int]]:
        found.append([[version.version for version in model] for model in models])
        return found[-1]

    monkeypatch.setattr(pages, "build_document", build)
    return found


async def test_it_is_made_once_for_the_same_versions(made: list[list[list[int]]]) -> None:
    model = OneModel(1, 2)
    page = OpenApi(cast("Manager", model), 128)
    assert [await asked(page) for _ in range(3)] == [b"[[2,1]]"] * 3
    assert len(made) == 1
    model.versions.append(Version(3))
    assert await asked(page) == b"[[3,1,2]]"
    del model.versions[0]
    assert await asked(page) == b"[[3,2]]"


async def test_a_version_that_is_loaded_anew_under_its_number_is_another(made: list[list[list[int]]]) -> None:
    model = OneModel(1)
    page = OpenApi(cast("Manager", model), 128)
    await asked(page)
    before = weakref.ref(model.versions[0])
    model.versions = [Version(1)]
    assert before() is None, "it keeps what nobody serves any more"
    await asked(page)
    assert len(made) == 2


async def test_without_a_model_it_is_made_too(made: list[list[list[int]]]) -> None:
    page = OpenApi(cast("Manager", OneModel()), 128)
    assert [await asked(page), await asked(page)] == [b"[]", b"[]"]
    assert made == [[]]
