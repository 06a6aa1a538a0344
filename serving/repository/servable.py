"""One loaded version: its back end, a batcher for each signature, and the count of the requests it is answering."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from serving.backends.base import Backend, RemoteBackend
from serving.batching.alone import alone, as_row, of_row
from serving.batching.batcher import Batcher
from serving.batching.policy import CostModel
from serving.batching.settings import BatchSettings
from serving.batching.terms import DEFAULT_TERMS, Terms
from serving.bundle import Task
from serving.errors import BundleError, InvalidInputError, SignatureNotFoundError
from serving.images import ImageSpec
from serving.observability.metrics import Metrics
from serving.repository.derivation import Derivation
from serving.repository.lease import Lease
from serving.repository.usage import Usage
from serving.signatures import Signature
from serving.traffic.shadow import Shadow

log = logging.getLogger("atelier.repository")

Costs = Mapping[str, CostModel]

_NO_ROWS = "expected at least one row, received none"


class Servable:
    """A version that answers. Entered (`with servable:`) by each request, so that unloading can wait for the last."""

    def __init__(
        self,
        name: str,
        version: int,
        *,
        backend: Backend | RemoteBackend,
        labels: tuple[str, ...],
        image: ImageSpec | None,
        costs: Costs,
        batching: BatchSettings,
        own_batching: BatchSettings | None = None,
        executor: Executor,
        metrics: Metrics,
        task: Task | None = None,
        derivations: Mapping[str, Derivation] = MappingProxyType({}),
        lease: Lease | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.labels = labels
        self.image = image
        self.task = task
        self.platform = backend.platform
        self.derivations = derivations
        derived = {signature_name: derivation.signature for signature_name, derivation in derivations.items()}
        self.signatures: Mapping[str, Signature] = MappingProxyType({**backend.signatures, **derived})
        self._backend = backend
        self._lease = lease
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._gateway_batching = batching
        self._batching = batching.of_model(own_batching)
        self.usage = Usage()
        self.shadow: Shadow | None = None
        """Who gets copies of what this version has answered, but of signatures without rows."""
        observe_batch = metrics.batch_observer(name, version)

        def observe(*, rows: int, requests: int, oldest_wait_s: float, run_s: float) -> None:
            observe_batch(rows=rows, requests=requests, oldest_wait_s=oldest_wait_s, run_s=run_s)
            self.usage.ran(requests, run_s)

        self._alone = frozenset(key for key, signature in backend.signatures.items() if not signature.is_batched)
        self._batchers = {
            signature_name: Batcher(
                _run_of(backend, signature_name),
                self._batching.at_most(_fixed_rows(signature)),
                executor,
                observe,
                costs[signature_name],
            )
            for signature_name, signature in backend.signatures.items()
        }
        for signature_name, batcher in self._batchers.items():
            metrics.batch_size_limit(name, version, signature_name, partial(getattr, batcher, "batch_size_limit"))
        metrics.in_flight(name, version, lambda: self._in_flight)
        metrics.queue(name, version, lambda: sum(batcher.queued_rows for batcher in self._batchers.values()))

    def reconfigure(self, own_batching: BatchSettings | None) -> None:
        """Batches by the model's own settings from now on, as far as it has any; senseless ones change nothing."""
        try:
            self._batching = self._gateway_batching.of_model(own_batching)
        except BundleError as error:
            log.warning("%s version %d is batched as before: %s", self.name, self.version, error)
            return
        for signature_name, batcher in self._batchers.items():
            batcher.reconfigure(self._batching.at_most(_fixed_rows(self.signatures[signature_name])))

    def __enter__(self) -> Self:
        self._in_flight += 1
        if self._in_flight == 1:
            self._idle.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._in_flight -= 1
        if self._in_flight == 0:
            self._idle.set()

    def signature(self, name: str) -> Signature:
        """The signature of that name.

        Raises:
            SignatureNotFoundError: there is none.
        """
        try:
            return self.signatures[name]
        except KeyError:
            raise SignatureNotFoundError(name) from None

    def max_batch_size(self, signature_name: str) -> int:
        """Rows that one run of the signature takes at most.

        Raises:
            SignatureNotFoundError: there is none of that name.
        """
        return self._batching.at_most(_fixed_rows(self.signature(signature_name))).max_batch_size

    def run(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], terms: Terms = DEFAULT_TERMS
    ) -> Awaitable[dict[str, np.ndarray]]:
        """Answers one of the graph's own signatures through its batcher; inputs fit the signature.

        Raises:
            InvalidInputError: the inputs have different numbers of rows, or none.
            ServingError: as `Batcher.submit`.
        """
        if signature_name in self._alone:
            return self._submit(signature_name, inputs, 1, terms)
        rows = {array.shape[0] if array.ndim else None for array in inputs.values()}
        if len(rows) != 1 or None in rows:
            raise InvalidInputError(f"expected the same number of rows in every input, received {_row_counts(inputs)}")
        (count,) = rows
        if not count:
            raise InvalidInputError(_NO_ROWS)
        return self._submit(signature_name, inputs, count, terms)

    async def _submit(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], count: int, terms: Terms
    ) -> dict[str, np.ndarray]:
        started_at = time.perf_counter()
        is_alone = signature_name in self._alone
        try:
            given = as_row(inputs) if is_alone else inputs
            outputs = await self._batchers[signature_name].submit(given, count, terms)
        except Exception:
            self.usage.failed(time.perf_counter() - started_at)
            raise
        if is_alone:
            outputs = of_row(outputs)
        took_s = time.perf_counter() - started_at
        self.usage.answered(count, took_s)
        if self.shadow is not None and signature_name not in self._alone:
            self.shadow.offer(self, signature_name, inputs, outputs, took_s)
        return outputs

    def admit(self, signature_name: str, rows: int, terms: Terms) -> None:
        """Refuses rows that `run` would refuse, before they are decoded.

        Raises:
            InvalidInputError: no rows, or more than could ever wait.
            OverloadedError: the queue is full.
        """
        if not rows:
            raise InvalidInputError(_NO_ROWS)
        self._batchers[signature_name].admit(rows, terms)

    async def drained(self) -> None:
        """Returns once no request is being answered."""
        await self._idle.wait()

    def close(self) -> None:
        """Gives the back end's memory back and lets the version's folder go; only after `drained`."""
        self._backend.close()
        if self._lease is not None:
            self._lease.close()


def _run_of(backend: Backend | RemoteBackend, signature_name: str) -> Callable[..., Any]:
    run: Callable[..., Any] = partial(backend.run, signature_name)
    return run if backend.signatures[signature_name].is_batched else alone(run)


def _fixed_rows(signature: Signature) -> int | None:
    """Rows that a run of the model takes, where that is fixed; what has no rows runs alone."""
    return signature.inputs[0].shape[0] if signature.is_batched else 1


def _row_counts(inputs: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{name}: {array.shape[0] if array.ndim else 'a scalar'}" for name, array in inputs.items())
