"""What Envoy calls: an ASGI application that imports and builds the worker when its event loop starts.

No request comes this way; see serving/connections/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.garbage_collector import calm_down, uncollected

if TYPE_CHECKING:
    from serving.frontends.http import Receive, Scope, Send


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Its lifespan is the worker's."""
    del scope
    await receive()
    with uncollected():
        from serving.worker import begin
    worker = await begin()
    calm_down()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await worker.stop()
    await send({"type": "lifespan.shutdown.complete"})
