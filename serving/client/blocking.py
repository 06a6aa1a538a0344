"""The client for everybody else: the asynchronous one, on a loop in a thread of its own.

So it works inside of notebooks and threads, and its deadlines hold whatever the connection does.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Self, TypeVar

from serving.client.aio import DEFAULT_RETRIES, DEFAULT_TIMEOUT_S, DEFAULT_URL, AsyncClient, Inputs
from serving.client.answers import Classification, Prediction, ServedModel, VersionStatus
from serving.client.gateway_status import GatewayStatus
from serving.client.protocol import ImageSource
from serving.signatures import DEFAULT_SIGNATURE

ResultT = TypeVar("ResultT")


class Client:
    """`AsyncClient` without `await`; may be used from several threads. Close it, or use it in a `with` block.

    Raises:
        AddressError: `url` is no address of a gateway.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: int = DEFAULT_RETRIES,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._client = AsyncClient(url, timeout_s=timeout_s, retries=retries, headers=headers, tls=tls)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="atelier-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections and ends the thread; a second call does nothing."""
        if self._loop.is_closed():
            return
        self._wait(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def predict(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        signature_name: str = DEFAULT_SIGNATURE,
        timeout_s: float | None = None,
    ) -> Prediction:
        """As `AsyncClient.predict`."""
        return self._wait(
            self._client.predict(
                model, inputs, version=version, label=label, signature_name=signature_name, timeout_s=timeout_s
            )
        )

    def classify(
        self,
        model: str,
        image: ImageSource,
        *,
        top_k: int = 5,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float | None = None,
    ) -> Classification:
        """As `AsyncClient.classify`."""
        return self._wait(
            self._client.classify(model, image, top_k=top_k, version=version, label=label, timeout_s=timeout_s)
        )

    def classify_many(
        self,
        model: str,
        images: Sequence[ImageSource],
        *,
        top_k: int = 5,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float | None = None,
    ) -> list[Classification]:
        """As `AsyncClient.classify_many`."""
        return self._wait(
            self._client.classify_many(model, images, top_k=top_k, version=version, label=label, timeout_s=timeout_s)
        )

    def models(self) -> tuple[ServedModel, ...]:
        """As `AsyncClient.models`."""
        return self._wait(self._client.models())

    def status(self) -> GatewayStatus:
        """As `AsyncClient.status`."""
        return self._wait(self._client.status())

    def versions(self, model: str) -> tuple[VersionStatus, ...]:
        """As `AsyncClient.versions`."""
        return self._wait(self._client.versions(model))

    def _wait(self, question: Coroutine[Any, Any, ResultT]) -> ResultT:
        if self._loop.is_closed():
            question.close()
            raise RuntimeError("the client has been closed")
        answer = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return answer.result()
        except BaseException:  # Ctrl-C: nobody waits any more
            answer.cancel()
            raise
