"""The asynchronous client; the other one wraps it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

import httpx
import numpy as np

from serving.client.answers import (
    Classification,
    Metadata,
    ModelStatus,
    Prediction,
    ServedModel,
    ServedModels,
    VersionStatus,
)
from serving.client.choice import Choice
from serving.client.failures import AddressError, UnreachableError, UntrustedError
from serving.client.gateway_status import GatewayStatus
from serving.client.protocol import (
    ImageSource,
    Question,
    Reply,
    ask_classes,
    ask_classes_of_many,
    ask_inference,
    read,
    read_classes_of_many,
    read_inference,
)
from serving.client.retries import is_temporary, pause_s
from serving.client.tensors import convert
from serving.errors import DeadlineExceededError, InvalidInputError, SignatureNotFoundError
from serving.signatures import DEFAULT_SIGNATURE

DEFAULT_URL = "http://localhost:8501"
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_RETRIES = 3
_MAX_PORT = 65535

Inputs = np.ndarray | Sequence[Any] | Mapping[str, Any]
"""One value for the only input, or several by name; plain lists are converted to what the model takes."""


class AsyncClient:
    """Asks one gateway, over as many connections as there are questions at once.

    `timeout_s` bounds each question in all, tries and pauses included. It is tried again, at most `retries` times and
    never past that, where no connection was made or it broke, and where the gateway is full or leaving (429, 503).
    `tls` says whom to trust and what to show, where the public CAs and nothing will not do.

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
        self._url = url
        self._timeout_s = timeout_s
        self._retries = retries
        self._input_dtypes: dict[tuple[Choice, str], dict[str, str]] = {}
        self._http = _connect(url, headers, tls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def predict(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        signature_name: str = DEFAULT_SIGNATURE,
        timeout_s: float | None = None,
    ) -> Prediction:
        """Tensors in, tensors out, exact in every dtype. The first dimension is that of the rows.

        Arrays by name are sent as they are. For anything else the model's inputs are looked up first, and kept.

        Raises:
            ServingError: why the gateway refused.
            NoAnswerError: no gateway has answered.
        """
        choice = Choice.of(model, version, label)
        key = (choice, signature_name)
        limit_s = self._limit(timeout_s)
        try:
            async with _deadline(limit_s) as ends_at:
                arrays = await self._arrays(key, inputs, ends_at)
                return read_inference(await self._ask(ask_inference(choice, arrays, signature_name, limit_s), ends_at))
        except InvalidInputError:
            self._input_dtypes.pop(key, None)  # a newer version may have other inputs
            raise

    async def classify(
        self,
        model: str,
        image: ImageSource,
        *,
        top_k: int = 5,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float | None = None,
    ) -> Classification:
        """The best classes of one image: a file's content or path, or uint8 pixels; of any size.

        Raises:
            ServingError: why the gateway refused.
            NoAnswerError: no gateway has answered.
            OSError: the file cannot be read.
        """
        question = ask_classes(Choice.of(model, version, label), image, top_k)
        async with _deadline(self._limit(timeout_s)) as ends_at:
            return read(await self._ask(question, ends_at), Classification)

    async def classify_many(
        self,
        model: str,
        images: Sequence[ImageSource],
        *,
        top_k: int = 5,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float | None = None,
    ) -> list[Classification]:
        """The same of several images in one request, in their order; all are answered, or none.

        Raises:
            ServingError: why the gateway refused.
            NoAnswerError: no gateway has answered.
            OSError: a file cannot be read.
        """
        question = ask_classes_of_many(Choice.of(model, version, label), images, top_k)
        async with _deadline(self._limit(timeout_s)) as ends_at:
            return read_classes_of_many(await self._ask(question, ends_at))

    async def models(self) -> tuple[ServedModel, ...]:
        """Every model that the gateway knows."""
        async with _deadline(self._limit(None)) as ends_at:
            return read(await self._ask(Question("GET", "/v1/models"), ends_at), ServedModels).models

    async def status(self) -> GatewayStatus:
        """Whether the gateway is ready, its workers, and each model's figures."""
        async with _deadline(self._limit(None)) as ends_at:
            return read(await self._ask(Question("GET", "/status"), ends_at), GatewayStatus)

    async def versions(self, model: str) -> tuple[VersionStatus, ...]:
        """The versions of a model, newest first; of TensorFlow Serving too."""
        async with _deadline(self._limit(None)) as ends_at:
            return read(
                await self._ask(Question("GET", Choice.of(model).path), ends_at), ModelStatus
            ).model_version_status

    def _limit(self, timeout_s: float | None) -> float:
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        if not math.isfinite(limit_s):
            raise InvalidInputError(f"timeout_s: expected a number of seconds, received {limit_s}")
        return limit_s

    async def _arrays(self, key: tuple[Choice, str], inputs: Inputs, ends_at: float) -> dict[str, np.ndarray]:
        if isinstance(inputs, Mapping) and all(isinstance(value, np.ndarray) for value in inputs.values()):
            return dict(inputs)
        if key not in self._input_dtypes:
            self._input_dtypes[key] = await self._look_up(*key, ends_at)
        dtypes = self._input_dtypes[key]
        if not isinstance(inputs, Mapping):
            if len(dtypes) != 1:
                raise InvalidInputError(f"expected the inputs {', '.join(dtypes)} by name, received one value")
            inputs = dict.fromkeys(dtypes, inputs)
        # An input that the model does not have is sent as it is: the gateway says which ones there are.
        return {name: convert(name, value, dtypes.get(name, "DT_STRING")) for name, value in inputs.items()}

    async def _look_up(self, choice: Choice, signature_name: str, ends_at: float) -> dict[str, str]:
        question = Question("GET", f"{choice.path}/metadata")
        found = read(await self._ask(question, ends_at), Metadata).inputs(signature_name)
        if found is None:
            raise SignatureNotFoundError(signature_name)
        return found

    async def _ask(self, question: Question, ends_at: float) -> Reply:
        """Asks until there is an answer that another try would not change, or no time for one."""
        for attempt in range(self._retries):
            reply, failure = await self._try(question)
            pause = pause_s(attempt, reply, random.random())  # noqa: S311 -- spreads tries, hides nothing
            too_late = asyncio.get_running_loop().time() + pause >= ends_at
            if reply is not None and (too_late or not is_temporary(reply)):
                return reply
            if failure is not None and too_late:
                raise failure
            await asyncio.sleep(pause)
        return await self._send(question)

    async def _try(self, question: Question) -> tuple[Reply | None, UnreachableError | None]:
        try:
            return await self._send(question), None
        except UnreachableError as error:
            return None, error

    async def _send(self, question: Question) -> Reply:
        try:
            response = await self._http.request(
                question.method,
                question.path,
                content=question.content,
                files=question.files,
                headers=dict(question.headers),
                params=dict(question.params) or None,
            )
        except (
            httpx.TransportError,
            httpx.DecodingError,
            ssl.SSLError,
        ) as error:  # TLS 1.3 refuses after the handshake
            if (distrust := _distrust(error)) is not None:
                reason = distrust.verify_message
                raise UntrustedError(f"the certificate of {self._url} is not trusted: {reason}") from error
            reason = str(error) or type(error).__name__
            raise UnreachableError(f"no gateway answers at {self._url}: {reason}") from error
        return Reply(str(response.url), response.status_code, response.headers, response.content)


def _distrust(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What was wrong with the other side's certificate, where that is the cause."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


@contextlib.asynccontextmanager
async def _deadline(timeout_s: float) -> AsyncIterator[float]:
    """Ends what it is around after so many seconds, whatever that is waiting for; gives the end in the loop's time."""
    try:
        async with asyncio.timeout(timeout_s):
            yield asyncio.get_running_loop().time() + timeout_s
    except TimeoutError as error:
        raise DeadlineExceededError(f"no answer within {timeout_s:g} s") from error


def _connect(url: str, headers: Mapping[str, str] | None, tls: ssl.SSLContext | None) -> httpx.AsyncClient:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressError(f"{url}: {error}") from error
    if address.scheme not in {"http", "https"} or not address.host or (address.port or 0) > _MAX_PORT:
        raise AddressError(f"{url}: expected an address such as {DEFAULT_URL}")
    # A proxy set for the rest of the world cannot reach a gateway on this machine.
    is_local = address.host in {"localhost", "127.0.0.1", "::1"}
    try:
        return httpx.AsyncClient(
            base_url=address,
            headers=dict(headers or {}),
            timeout=None,  # noqa: S113 -- each question has a deadline of its own
            trust_env=not is_local,
            verify=True if tls is None else tls,
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        reason = str(error).split(". ")[0]  # what follows is advice on httpx' own extras
        raise AddressError(f"{url}: the proxy that this environment names for it cannot be used: {reason}") from error
