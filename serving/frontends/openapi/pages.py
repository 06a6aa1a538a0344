"""`/openapi.json`, of what is loaded when it is asked for, and the page that shows it."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Iterator
from importlib import metadata, resources

import orjson

from serving.errors import ServingError
from serving.frontends.http import Send, send_body
from serving.frontends.openapi.document import build_document
from serving.repository.manager import Manager
from serving.repository.servable import Servable


class OpenApi:
    """Both pages."""

    def __init__(self, manager: Manager, max_images: int) -> None:
        self._manager = manager
        self._max_images = max_images
        self._version = metadata.version("atelier")
        self._made = b""
        self._made_of: list[weakref.ref[Servable]] | None = None

    async def document(self, send: Send) -> None:
        """The OpenAPI document."""
        await send_body(send, 200, self._document())

    async def page(self, send: Send) -> None:
        """One self-contained HTML file that reads the document; it asks no other host."""
        await send_body(send, 200, _page(), b"text/html; charset=utf-8")

    def _document(self) -> bytes:
        """Made anew where other versions answer than the last time: it takes most of a millisecond for each."""
        models = list(self._servables())
        made_of = [weakref.ref(servable) for model in models for servable in model]
        if made_of != self._made_of:
            self._made = orjson.dumps(build_document(self._version, models, self._max_images))
            self._made_of = made_of
        return self._made

    def _servables(self) -> Iterator[list[Servable]]:
        """The versions that answer, model by model; first the one that does where none is named."""
        for model in self._manager.models():
            try:
                current = self._manager.resolve(model.name)
            except ServingError:
                continue
            numbers = [status.version for status in model.versions if status.version != current.version]
            yield [current, *self._answering(model.name, numbers)]

    def _answering(self, name: str, numbers: list[int]) -> Iterator[Servable]:
        for number in numbers:
            with contextlib.suppress(ServingError):
                yield self._manager.resolve(name, number)


@functools.cache
def _page() -> bytes:
    return resources.files("serving.frontends.openapi").joinpath("docs.html").read_bytes()
