"""JSON of requests to what they mean: here where it is short, in a process of its own where others would wait for it.

Parsing holds Python's lock from the first byte to the last, so that a thread would help nobody: 16 MiB of numbers take
about a second, and 400 MB.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar, cast

from serving.errors import DeadlineExceededError
from serving.offload.arrays import Inputs, Packed, pack, unpack_aside
from serving.offload.helper_process import HelperProcess
from serving.signatures import Signature
from serving.wire.json_limits import JsonLimits

MAX_READ_HERE_BYTES = 128 * 1024
"""Takes five milliseconds at most."""
MAX_READ_HERE_MEMBERS = 4096
"""Of objects, and objects: examples take some two microseconds for each, sixty milliseconds for what fits 128 KiB."""

ResultT = TypeVar("ResultT")
RequestT = TypeVar("RequestT")


class JsonForm(NamedTuple, Generic[RequestT]):
    """How bodies of one kind are read: `parse` takes one apart, `decode` makes a signature's inputs of that.

    `without_data` is what has to be known of a request before its signature is.
    """

    parse: Callable[..., RequestT]
    decode: Callable[[RequestT, Signature], Inputs]
    without_data: Callable[[RequestT], RequestT]


class JsonReader:
    """Reads bodies within `limits`."""

    def __init__(self, limits: JsonLimits, process: HelperProcess) -> None:
        self.limits = limits
        self._process = process

    async def read(
        self, parse: Callable[..., ResultT], body: bytes, *args: Any, deadline: float | None = None
    ) -> ResultT:
        """What `parse(body, *args)` returns, for a body that is JSON from end to end.

        Raises:
            PayloadTooLargeError: over the limits.
            OverloadedError, UnavailableError: see `HelperProcess.call`.
            DeadlineExceededError: it was not read by then.
            ServingError: what `parse` raises.
        """
        sent = _Body(self.limits, parse, body, len(body), args)
        if len(body) <= MAX_READ_HERE_BYTES and body.count(b"{") + body.count(b":") <= MAX_READ_HERE_MEMBERS:
            return cast("ResultT", sent.parse())
        return await self._apart(sent, deadline, _Body.parse)

    async def open(
        self, form: JsonForm[RequestT], body: bytes, *, json_bytes: int | None = None, deadline: float | None = None
    ) -> tuple[RequestT, Callable[[Signature], Inputs | Awaitable[Inputs]]]:
        """The request, and what makes its inputs once the signature is known; the first `json_bytes` are JSON, or all.

        Raises:
            ServingError: see `read`.
        """
        args = () if json_bytes is None else (json_bytes,)
        sent = _Body(self.limits, form.parse, body, len(body) if json_bytes is None else json_bytes, args)
        if sent.json_bytes <= MAX_READ_HERE_BYTES:
            request = sent.parse()
            return request, lambda signature: form.decode(request, signature)

        async def decode(signature: Signature) -> Inputs:
            return await unpack_aside(await self._apart(sent, None, _decode, form.decode, signature))

        return await self._apart(sent, deadline, _parse, form.without_data), decode

    async def _apart(
        self, sent: _Body, deadline: float | None, function: Callable[..., ResultT], *args: Any
    ) -> ResultT:
        self.limits.check_size(sent.json_bytes)
        size, sent = len(sent.content), sent._replace(content=pickle.PickleBuffer(sent.content))
        try:
            async with asyncio.timeout_at(deadline):
                return await self._process.call(size, function, sent, *args)
        except TimeoutError as error:
            raise DeadlineExceededError("the deadline passed before the request was read") from error


class _Body(NamedTuple):
    """What `parse` takes apart, within the limits; the first `json_bytes` are JSON."""

    limits: JsonLimits
    parser: Callable[..., Any]
    content: Any
    json_bytes: int
    args: tuple[Any, ...]

    def parse(self) -> Any:
        is_all = self.json_bytes == len(self.content)
        self.limits.check(self.content if is_all else self.content[: self.json_bytes])
        return self.parser(self.content, *self.args)


def _parse(sent: _Body, without_data: Callable[[Any], RequestT]) -> RequestT:
    return without_data(_parsed(sent))


def _decode(sent: _Body, decode: Callable[[Any, Signature], Inputs], signature: Signature) -> Packed:
    try:
        return pack(decode(_parsed(sent), signature))
    finally:
        _parsed.cache_clear()


@lru_cache(maxsize=1)
def _parsed(sent: _Body) -> Any:
    """A body is sent twice, to be parsed and to be decoded, and mostly parsed once."""
    return sent.parse()
