"""Brings a model's versions to what is aspired: loads, switches, drains, unloads."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor

from serving.errors import BundleError, UnreachableError
from serving.model_config import ModelConfig
from serving.observability.metrics import Metrics
from serving.repository.loader import Loaded
from serving.repository.records import Model, Version
from serving.repository.servable import Servable
from serving.repository.source import Origin
from serving.repository.state_changes import StateChanges
from serving.repository.transition import State, next_steps
from serving.traffic.shadow import Shadow

log = logging.getLogger("atelier.repository")

_RETRY_AT_LEAST_EVERY_S = 60.0

Load = Callable[[Origin, ModelConfig], Loaded]
Serve = Callable[[str, int, Loaded, ModelConfig], Servable]


class Reconciler:
    """Owns every version's life: START → LOADING → AVAILABLE → UNLOADING → END.

    `load` opens a version and is called in `executor`, or in `fetch_executor` where it comes over a network, for which
    no version of this machine waits; `serve` makes the result answer and is called on the event loop.
    A model that is not present any more is taken out of `models` once its last version is unloaded.
    """

    def __init__(
        self,
        models: dict[str, Model],
        changes: StateChanges,
        *,
        load: Load,
        serve: Serve,
        executor: Executor,
        fetch_executor: Executor,
        metrics: Metrics,
    ) -> None:
        self._models = models
        self._changes = changes
        self._load = load
        self._serve = serve
        self._executor = executor
        self._fetch_executor = fetch_executor
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    async def settle(self) -> None:
        """Waits until everything that was begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def close(self) -> None:
        """Closes every back end; only when nothing is being answered any more."""
        for model in self._models.values():
            if model.shadow is not None:
                model.shadow.close()
            for version in model.versions.values():
                if version.servable is not None:
                    version.servable.close()

    def reconcile(self, name: str, model: Model) -> None:
        """Begins what has to be loaded or unloaded now, and binds labels and traffic to what answers."""
        self._forget_ended(name, model)
        self._choose(name, model)
        aspired = model.aspired()
        for number in aspired & model.versions.keys():
            if model.versions[number].state is State.END:  # rolled back to a version that was served before
                del model.versions[number]
            elif model.is_outdated(number) and number in model.settled:
                self.begin_load(name, model, number)
        model.waiting = frozenset(
            number for number in aspired - model.settled if number not in model.versions or model.is_outdated(number)
        )
        if model.present and not aspired:
            return  # being filled, cleared, or all of it broken: what is served stays
        states = {number: version.state for number, version in model.versions.items()}
        steps = next_steps(aspired, states, model.settled)
        for number in steps.load:
            self.begin_load(name, model, number)
        for number in steps.unload:
            self._enter(name, number, model.versions[number], State.UNLOADING)
            self._begin(self._unload_version(name, model, number))
        if steps.unload:
            self._choose(name, model)
            self._changes.announce()
        if not model.present and not model.versions:
            self._models.pop(name, None)
            self._metrics.stored_problem(name, is_there=False)
            self._metrics.labels(name, {})
            self._changes.announce()

    def _choose(self, name: str, model: Model) -> None:
        """Binds labels and traffic anew, and has the shadow follow."""
        model.choose()
        self._metrics.labels(name, model.bound)
        settings = model.traffic.shadow
        if settings != (model.shadow.settings if model.shadow is not None else None):
            if model.shadow is not None:
                model.shadow.close()
            model.shadow = Shadow(settings, model.shadow_target, self._metrics.shadow) if settings is not None else None
        for version in model.versions.values():
            if version.servable is not None:
                version.servable.shadow = model.shadow

    def _forget_ended(self, name: str, model: Model) -> None:
        """Drops versions that are gone, and those that failed as they no longer are, which is worth another try."""
        for number, version in list(model.versions.items()):
            is_gone = version.state is State.END and number not in model.origins
            if is_gone or (version.failed and model.is_outdated(number)):
                self._metrics.forget_version(name, number)
                del model.versions[number]

    def begin_load(self, name: str, model: Model, number: int) -> None:
        """Loads a version from where it is now, for the first time or in place of itself."""
        version = model.versions.setdefault(number, Version(model.origins[number], model.config))
        version.origin, version.config = model.origins[number], model.config
        self._enter(name, number, version, State.LOADING)
        self._begin(self._load_version(name, model, number))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load_version(self, name: str, model: Model, number: int) -> None:
        version = model.versions[number]
        replaced = version.servable
        version.retry_at = None
        started_at = time.perf_counter()
        loop = asyncio.get_running_loop()
        executor = self._fetch_executor if version.origin.is_elsewhere else self._executor
        version.files = await loop.run_in_executor(executor, version.origin.fingerprint)
        try:
            loaded = await loop.run_in_executor(executor, self._load, version.origin, version.config)
            version.servable = self._served(name, number, loaded, version.config)
        except Exception as error:
            reason = str(error) if isinstance(error, BundleError) else f"loading failed: {type(error).__name__}"
            log.warning(
                "%s version %d %s: %s",
                name,
                number,
                "is quarantined" if replaced is None else "keeps answering as it was, its changed files are no better",
                reason,
                exc_info=not isinstance(error, BundleError),
            )
            version.error = reason
            if isinstance(error, UnreachableError):
                version.tries += 1
                version.retry_at = loop.time() + min(2.0**version.tries, _RETRY_AT_LEAST_EVERY_S)
            self._metrics.load_failure(name)
            self._enter(name, number, version, State.END if replaced is None else State.AVAILABLE)
        else:
            version.error, version.tries = None, 0
            self._enter(name, number, version, State.AVAILABLE)
            self._choose(name, model)
            log.info("%s version %d is available after %.2f s", name, number, time.perf_counter() - started_at)
        self.reconcile(name, model)
        if replaced is not None and replaced is not version.servable:
            await self._let_go(replaced)

    def _served(self, name: str, number: int, loaded: Loaded, config: ModelConfig) -> Servable:
        try:
            return self._serve(name, number, loaded, config)
        except BaseException:
            loaded.close()
            raise

    async def _unload_version(self, name: str, model: Model, number: int) -> None:
        version = model.versions[number]
        servable = version.servable
        if servable is not None:
            await self._let_go(servable)
            version.servable = None
        version.error = None  # it is not quarantined, whatever a later change of its files was
        self._metrics.end_batches(name, number)
        self._enter(name, number, version, State.END)
        log.info("%s version %d is unloaded", name, number)
        self.reconcile(name, model)

    async def _let_go(self, servable: Servable) -> None:
        await servable.drained()
        await asyncio.get_running_loop().run_in_executor(self._executor, servable.close)

    def _enter(self, name: str, number: int, version: Version, state: State) -> None:
        version.state = state
        self._metrics.version_state(name, number, state, has_error=version.error is not None)
        self._changes.announce()
