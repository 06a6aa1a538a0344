"""gRPC messages to what they mean: here where that is quick, in the helper process where others would wait for it.

Parsing holds Python's lock from the first byte to the last, and making arrays of what was parsed holds it longer still.
What a message says beside its tensors is little, and is read here always; see serving/wire/field_limits.py for costs.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np
from google.protobuf.message import DecodeError

from serving.errors import DeadlineExceededError, InvalidInputError, PayloadTooLargeError
from serving.offload.arrays import Inputs, Packed, pack, unpack_aside
from serving.offload.helper_process import HelperProcess
from serving.wire.field_limits import MAX_UNCOUNTED_BYTES, Layout, bytes_beside_pieces
from serving.wire.protobuf_fields import only_fields

MAX_READ_HERE_BYTES = 128 * 1024
"""Of values that stand one by one: takes five milliseconds at most."""
MAX_VALUE_BYTES = 32 * 1024 * 1024
"""Of such values; they take up to twenty times as much memory."""
MAX_SHORT_BYTES = 1024 * 1024
"""Of a message without tensors; the longest is a configuration of models."""

RequestT = TypeVar("RequestT")


class MessageForm(NamedTuple, Generic[RequestT]):
    """How messages of one kind are read.

    `beside` are the numbers of the fields without tensors, `layout` leads to the large pieces of those with tensors.
    """

    parse: Callable[[bytes], RequestT]
    beside: Collection[int]
    layout: Layout


class MessageReader:
    """Reads messages of `MessageForm`s."""

    def __init__(self, process: HelperProcess) -> None:
        self._process = process

    def open(self, form: MessageForm[RequestT], message: bytes) -> tuple[RequestT, bool]:
        """The request, and whether its tensors are in it; those that are not are for `decode`.

        Raises:
            DecodeError: it is none.
            PayloadTooLargeError: it has too many bytes of values that stand one by one, or beside its tensors.
        """
        if len(message) <= MAX_READ_HERE_BYTES:
            return form.parse(message), True
        value_bytes = bytes_beside_pieces(message, form.layout)
        if value_bytes <= MAX_READ_HERE_BYTES:
            return form.parse(message), True
        if value_bytes > MAX_VALUE_BYTES:
            raise PayloadTooLargeError(
                f"expected at most {MAX_VALUE_BYTES:,} bytes of values that stand one by one, received more: "
                "send numbers in tensor_content or raw_input_contents"
            )
        beside = only_fields(message, form.beside)
        if len(beside) > MAX_UNCOUNTED_BYTES:
            raise PayloadTooLargeError(
                f"expected at most {MAX_UNCOUNTED_BYTES:,} bytes beside the tensors, received {len(beside):,}"
            )
        return form.parse(beside), False

    async def decode(
        self, decode: Callable[..., Mapping[str, np.ndarray]], message: bytes, *args: Any, deadline: float | None = None
    ) -> Inputs:
        """What `decode(message, *args)` makes of the message in the helper process.

        Raises:
            OverloadedError, UnavailableError: see `HelperProcess.call`.
            DeadlineExceededError: it was not decoded by then.
            InvalidInputError: it is no message of its kind.
            ServingError: what `decode` raises.
        """
        try:
            async with asyncio.timeout_at(deadline):
                content = cast("bytes", pickle.PickleBuffer(message))  # travels beside the pickle
                return await unpack_aside(await self._process.call(len(message), _decode, decode, content, args))
        except TimeoutError as error:
            raise DeadlineExceededError("the deadline passed before the request was read") from error


def _decode(decode: Callable[..., Mapping[str, np.ndarray]], message: bytes, args: tuple[Any, ...]) -> Packed:
    try:
        return pack(decode(message, *args))
    except DecodeError as error:
        raise InvalidInputError("the message is not a valid protobuf of the method's request type") from error


def check_short(message: bytes) -> None:
    """Refuses a message of tensors' size where none are expected.

    Raises:
        PayloadTooLargeError: it would take long to parse.
    """
    if len(message) > MAX_SHORT_BYTES:
        raise PayloadTooLargeError(
            f"expected a message of at most {MAX_SHORT_BYTES:,} bytes, received {len(message):,}"
        )
