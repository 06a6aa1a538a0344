"""Steady load from a real gRPC client, which remembers every answer that was not one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


@dataclass
class Tally:
    """What the clients saw; `seen(version)` waits until a version has answered."""

    answers: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    failures_by_client: Counter[int] = field(default_factory=Counter)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def seen(self, version: int, times: int = 1, timeout_s: float = 120.0) -> None:
        """Returns once `version` has answered `times` times, or something has failed."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: self.answers[version] >= times or self.failures)

    async def goes_on(self, times: int, timeout_s: float = 120.0) -> None:
        """Returns once `times` more answers have come, whatever fails meanwhile."""
        wanted = self.answers.total() + times
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: self.answers.total() >= wanted)

    async def note(self, version: int) -> None:
        """One answer came."""
        self.answers[version] += 1
        async with self._news:
            self._news.notify_all()

    async def note_failure(self, client: int, text: str) -> None:
        """A client was told that it gets no answer."""
        self.failures_by_client[client] += 1
        self.failures.append(text)
        async with self._news:
            self._news.notify_all()


@contextlib.asynccontextmanager
async def steady_load(
    address: str,
    request: predict_pb2.PredictRequest,
    in_flight: int,
    options: Sequence[tuple[str, str | int]] = (),
    *,
    connections: int = 2,
) -> AsyncIterator[Tally]:
    """Keeps `in_flight` requests going, on so many channels with these options, until the block ends."""
    tally = Tally()
    stopping = asyncio.Event()
    options = [("grpc.use_local_subchannel_pool", 1), *options]
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options))
            for _ in range(connections)
        ]
        stubs = [prediction_service_pb2_grpc.PredictionServiceStub(channel) for channel in channels]

        async def client(number: int, stub: prediction_service_pb2_grpc.PredictionServiceStub) -> None:
            while not stopping.is_set():
                try:
                    response = await stub.Predict(request, timeout=120.0)
                except grpc.aio.AioRpcError as error:
                    await tally.note_failure(number, f"{error.code()}: {error.details()}")
                else:
                    await tally.note(response.model_spec.version.value)

        async with asyncio.TaskGroup() as clients:
            for number in range(in_flight):
                clients.create_task(client(number, stubs[number % len(stubs)]))
            try:
                yield tally
            finally:
                stopping.set()
