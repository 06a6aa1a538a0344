"""Several servers that answer alike: each RPC goes to the one with the least to do, and to another one if it fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping
from typing import NamedTuple

from serving.backends.tfserving.balance import choose
from serving.backends.tfserving.failures import RpcError
from serving.backends.tfserving.messages import (
    VersionState,
    decode_statuses,
    decode_version,
    merge_statuses,
    metadata_request,
    status_request,
)
from serving.backends.tfserving.server import Server, tls_context
from serving.errors import InvalidInputError, ModelNotFoundError
from serving.observability.upstream_metrics import UpstreamMetrics
from serving.upstream import Upstream
from serving.wire.grpc_codes import NOT_FOUND

log = logging.getLogger("atelier.tfserving")

GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_SILENCES_OF_THE_DEAD = 2


class Wanted(NamedTuple):
    """The model and version that an RPC is about: it goes to servers that have it."""

    model: str
    version: int


class Pool:
    """The servers of one upstream. Everything happens on the event loop that it was made on."""

    def __init__(self, upstream: Upstream, metrics: UpstreamMetrics) -> None:
        tls = tls_context(upstream.tls)
        name = upstream.tls.server_name if upstream.tls else None
        self._upstream = upstream
        self._servers = [Server(address, tls, name) for address in upstream.addresses]
        self._standings = [server.standing for server in self._servers]
        self._counters = [metrics.counter(server.address) for server in self._servers]
        for server in self._servers:
            metrics.follow(server.address, server.is_up)
        self._everyone = frozenset(range(len(self._servers)))
        self._having: dict[Wanted, frozenset[int]] = {}
        self._turn = 0
        self._is_closed = False
        self._loop = asyncio.get_running_loop()

    async def call(
        self, method: str, request: bytes, *, deadline: float | None = None, wanted: Wanted | None = None
    ) -> bytes:
        """One RPC, which must be safe to repeat: it is, on another server, when a connection fails.

        `deadline` is in the event loop's time. While no server can be reached, they are tried for `patience_s`; each
        is tried once, however late it is then: a server that falls silent is given up only after some time.

        Raises:
            ServingError: as `RpcError.cause`.
        """
        now = self._loop.time()
        gives_up_at = now + self._upstream.timeout_s if deadline is None else deadline
        patient_until = min(gives_up_at, now + self._upstream.patience_s)
        failed: set[int] = set()
        without: set[int] = set()
        pause_s = _FIRST_PAUSE_S
        while True:
            index = self._choose(wanted, failed, without)
            if index in failed:  # there is no other to try
                await asyncio.sleep(min(pause_s, max(0.0, patient_until - self._loop.time())))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                return await self._ask(index, method, request, gives_up_at - self._loop.time())
            except RpcError as error:
                if error.is_elsewhere and len(without) + 1 < len(self._servers):
                    without.add(index)
                    continue
                failed.add(index)
                is_last = failed | without >= self._everyone and self._loop.time() >= patient_until
                if not error.is_of_connection or is_last or self._is_closed:
                    raise error.cause() from error

    async def look(self, model: str) -> Mapping[int, VersionState]:
        """Asks every server which versions of the model it has; remembers who has which, and who is well.

        Raises:
            UnavailableError: no server answered: nothing is known.
            ServingError: none of those that answered knows the model.
        """
        answers = await asyncio.gather(*(self._look_at(server, model) for server in self._servers))
        statuses = {index: answer for index, answer in enumerate(answers) if not isinstance(answer, RpcError)}
        errors = [answer for answer in answers if isinstance(answer, RpcError)]
        if not statuses:
            missing = next((error for error in errors if error.code == NOT_FOUND), None)
            raise (missing or errors[0]).cause()
        having: dict[Wanted, set[int]] = {}
        for index, versions in statuses.items():
            for version, status in versions.items():
                if status.is_available:
                    having.setdefault(Wanted(model, version), set()).add(index)
        self._having = {wanted: who for wanted, who in self._having.items() if wanted.model != model}
        self._having |= {wanted: frozenset(who) for wanted, who in having.items()}
        return merge_statuses(statuses.values())

    async def labels(self, model: str) -> dict[str, int]:
        """What the upstream's labels mean on its servers now; those that no server knows are left out."""
        found: dict[str, int] = {}
        for label in self._upstream.labels:
            with contextlib.suppress(InvalidInputError, ModelNotFoundError):
                found[label] = decode_version(await self.call(GET_MODEL_METADATA, metadata_request(model, label=label)))
        return found

    async def close(self) -> None:
        """Closes all connections; what waits for an answer is told that there is none."""
        self._is_closed = True
        await asyncio.gather(*(server.channel.close() for server in self._servers))

    def _choose(self, wanted: Wanted | None, failed: Collection[int], without: Collection[int]) -> int:
        """The server to ask: of those that had the version when they were last looked at, and then of all others.

        A look may have found a server down that is back now.
        """
        having = self._having.get(wanted) if wanted is not None else None
        untried = (having or self._everyone).difference(failed, without)
        self._turn += 1
        index = choose(
            self._standings, untried or self._everyone.difference(without), failed, self._turn, self._loop.time()
        )
        assert index is not None  # noqa: S101 -- `call` ends before every server lacks the version
        return index

    async def _ask(self, index: int, method: str, request: bytes, timeout_s: float) -> bytes:
        server, standing = self._servers[index], self._standings[index]
        standing.asked()
        try:
            answer = await server.channel.call(method, request, timeout_s)
        except RpcError as error:
            if error.is_of_connection:
                if standing.failures == 0:
                    log.warning("a server failed, %s", error)
                standing.failed(self._loop.time())
            else:
                standing.answered()
            self._counters[index]("lost" if error.is_of_connection else "refused")
            raise
        finally:
            standing.ended()
        standing.answered()
        self._counters[index]("answered")
        return answer

    async def _look_at(self, server: Server, model: str) -> Mapping[int, VersionState] | RpcError:
        server.channel.refresh()
        try:
            answer = await server.channel.call(GET_MODEL_STATUS, status_request(model), self._upstream.status_timeout_s)
        except RpcError as error:
            if error.code == NOT_FOUND:
                server.silences = 0
                server.standing.answered()
                return error
            server.silences += 1
            if server.silences == _SILENCES_OF_THE_DEAD:
                log.warning("a server does not answer, %s", error)
            if server.silences >= _SILENCES_OF_THE_DEAD:
                server.standing.failed(self._loop.time())
                server.channel.give_up()
            return error
        if server.silences >= _SILENCES_OF_THE_DEAD:
            log.info("the server %s answers again", server.address)
        server.silences = 0
        server.standing.answered()
        return decode_statuses(answer)
