"""`ModelStreamInfer`: any number of inferences on one gRPC stream, as `tritonclient`'s streams send them.

Requests of a stream are answered at the same time and batched like all others; their answers leave in the order of the
requests. A request that fails is answered by its message and its `id`, and the stream goes on.
Source: Triton's grpc_service.proto and its notes on decoupled models: every answer here is its request's last one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import DecodeError

from serving.batching.terms import DEFAULT_TERMS
from serving.errors import PayloadTooLargeError, ServingError
from serving.frontends.bodies import Hold, InflightBytes
from serving.frontends.grpc_transport import Handler
from serving.frontends.http import printable
from serving.wire.atelier_oip_pb2 import InferParameter, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from serving.wire.protobuf_fields import bytes_field, only_fields

log = logging.getLogger("atelier.grpc")

FINAL_RESPONSE = "triton_final_response"
_MAX_IN_FLIGHT = 64
"""Requests of one stream that are answered at the same time; the next ones are read when these are answered."""

_NAMES = (1, 2, 3)
"""The numbers of `model_name`, `model_version` and `id`."""
_INFER_RESPONSE = 2
_FINAL = ModelInferResponse(parameters={FINAL_RESPONSE: InferParameter(bool_param=True)}).SerializeToString()
"""What every response has behind its own fields, which protobuf reads as one message."""


class InferStream:
    """Answers each message of a stream by `infer`, the handler of `ModelInfer`."""

    def __init__(self, infer: Handler, inflight: InflightBytes) -> None:
        self._infer = infer
        self._inflight = inflight

    async def __call__(self, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The answers, in the order of the messages.

        Raises:
            ServingError: what was sent is no message; those before it have been answered.
        """
        answers: asyncio.Queue[asyncio.Future[bytes] | None] = asyncio.Queue(_MAX_IN_FLIGHT)
        asked: set[asyncio.Future[bytes]] = set()

        async def ask() -> None:
            try:
                async for message in messages:
                    task = asyncio.create_task(self._answer(message))
                    asked.add(task)
                    task.add_done_callback(asked.discard)
                    await answers.put(task)
            except ServingError as error:
                await answers.put(_failed(error))
            else:
                await answers.put(None)

        asking = asyncio.create_task(ask())
        answer: asyncio.Future[bytes] | None = None
        try:
            while (answer := await answers.get()) is not None:
                yield await answer
        finally:
            answer = None  # else an error and this frame hold each other
            working: list[asyncio.Future[Any]] = [asking, *asked]
            for one in working:
                one.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _answer(self, message: bytes) -> bytes:
        hold = Hold(self._inflight)
        try:
            hold.take(len(message))
            response = await self._infer(message, DEFAULT_TERMS)
        except PayloadTooLargeError as error:  # reading even its `id` would take too long
            return _failure(b"", str(error))
        except ServingError as error:
            return _failure(message, str(error))
        except DecodeError:
            return _failure(b"", "the message is not a valid protobuf of the method's request type")
        except Exception:
            log.exception("a request of a stream failed")
            return _failure(message, "internal error; the gateway's log has the details")
        finally:
            hold.close()
        return bytes_field(_INFER_RESPONSE, response + _FINAL)  # it may be long, and is not taken apart again


def _failed(error: ServingError) -> asyncio.Future[bytes]:
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    future.set_exception(error.with_traceback(None))
    future.exception()  # else asyncio complains where the client leaves before it is told
    return future


def _failure(message: bytes, text: str) -> bytes:
    asked = ModelInferRequest.FromString(only_fields(message, _NAMES))
    response = ModelInferResponse(model_name=asked.model_name, model_version=asked.model_version, id=asked.id)
    response.parameters[FINAL_RESPONSE].bool_param = True
    return ModelStreamInferResponse(error_message=printable(text), infer_response=response).SerializeToString()
