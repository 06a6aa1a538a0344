"""What Envoy calls: an ASGI application that imports and builds the worker when its event loop starts."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from serving.garbage_collector import calm_down, uncollected

if TYPE_CHECKING:
    from serving.frontends.http import Receive, Scope, Send
    from serving.worker import Worker


class Application:
    """The lifespan builds the worker, everything else goes to its app."""

    _asgi_single_callable = True
    """Tells pyvoy, as it does asgiref, that calling it gives a coroutine though it is no coroutine function."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """An ASGI 3 application; like those that it hands over to, no coroutine function itself, which costs time."""
        if self._worker is not None and scope["type"] == "http":
            return self._worker.app(scope, receive, send)
        return self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        with uncollected():
            from serving.worker import begin
        worker = await begin()
        calm_down()
        self._worker = worker
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await worker.stop()
        await send({"type": "lifespan.shutdown.complete"})


application = Application()
