"""Keeps the loaded versions equal to what is configured and there; a model that answers never stops doing so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor

from serving.errors import BundleError, UnreachableError
from serving.model_config import ModelConfig
from serving.observability.metrics import Metrics
from serving.repository.catalogue import Catalogue
from serving.repository.loader import Loaded
from serving.repository.looks import fingerprints, look_at, reason_of, unseen
from serving.repository.records import Model, Version
from serving.repository.servable import Servable
from serving.repository.served import Served
from serving.repository.source import Fingerprint, Found, Origin, Source
from serving.repository.stored import Stored, StoredFiles
from serving.repository.transition import State, next_steps
from serving.traffic.shadow import Shadow

log = logging.getLogger("atelier.repository")

_LOOK_AGAIN_S = 0.05
_RETRY_AT_LEAST_EVERY_S = 60.0

OpenSource = Callable[[str, ModelConfig], Source]
Load = Callable[[Origin, ModelConfig], Loaded]
Serve = Callable[[str, int, Loaded, ModelConfig], Servable]


class Manager(Served):
    """Owns every version's life: START → LOADING → AVAILABLE → UNLOADING → END.

    `open_source` gives what to look at for a model's versions; `load` opens one and is called in `executor`; `serve`
    makes the result answer and is called on the event loop. `stored_files` are read in `files_executor`, which waits
    for no load.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        open_source: OpenSource,
        load: Load,
        serve: Serve,
        executor: Executor,
        files_executor: Executor,
        slow_executor: Executor,
        stored_files: StoredFiles,
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self._catalogue = catalogue
        self._open_source = open_source
        self._load = load
        self._serve = serve
        self._executor = executor
        self._files_executor = files_executor
        self._slow_executor = slow_executor
        self._stored_files = stored_files
        self._metrics = metrics
        self._is_first_look = True
        self._looking = asyncio.Lock()
        self.problems: Mapping[str, str] = {}
        """What is wrong with the files that configure the models, by their names; what they said before counts."""
        self._slow_looks: dict[Source, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._early_look: asyncio.Task[None] | None = None

    async def watch(self, interval_s: float) -> None:
        """Looks until cancelled; slow sources while the others go on being looked at."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.look()
            except Exception:
                log.exception("looking for models failed; the next look is in %s s", interval_s)

    async def follow_labels(self, interval_s: float) -> None:
        """Looks at the models' labels and traffic until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.look_at_labels()
            except Exception:
                log.exception("looking for labels failed; the next look is in %s s", interval_s)

    async def step(self) -> None:
        """Looks at everything once and begins what has to be done; does not wait for loads.

        What the first look finds is loaded as it is. Later, a version without a manifest has to look the same twice.
        """
        await self.look()
        while self._slow_looks:
            await asyncio.wait(self._slow_looks.values())
        self._is_first_look = False

    async def look(self) -> None:
        """As `step`, but slow sources go on being looked at when it returns."""
        async with self._looking:
            await self._read_catalogue()
            await self.look_at_labels()
            self._look_at_slow_sources()
            quick = {n: model.source for n, model in self._models.items() if model.present and not model.source.is_slow}
            await self._look_into(quick, self._files_executor)

    async def _read_catalogue(self) -> None:
        problems: Mapping[str, str]
        executor = self._slow_executor if self._catalogue.is_slow else self._files_executor
        try:
            configs = await asyncio.get_running_loop().run_in_executor(executor, self._catalogue.read)
        except (OSError, UnreachableError) as error:
            problems = {"models folder": f"the models cannot be listed: {reason_of(error)}"}
        else:
            problems = self._catalogue.problems()
            self._configure(configs)
        for file, problem in problems.items():
            if self.problems.get(file) != problem:
                log.warning("%s; what is served stays as it is", problem)
        if problems != self.problems:
            self._metrics.configuration_problems(self.problems.keys() | problems.keys(), problems)
            self.problems = problems
            self.changes.announce()

    def _look_at_slow_sources(self) -> None:
        for name, model in self._models.items():
            if model.present and model.source.is_slow and model.source not in self._slow_looks:
                look = asyncio.get_running_loop().create_task(self._look_slowly(name, model.source))
                self._slow_looks[model.source] = look

    async def look_until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Looks again and again, and at once, until the condition holds: for who knows that something has changed.

        Whoever waits shares the same looks.

        Raises:
            TimeoutError: it did not hold in time.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():
                change = self.changes.next()
                if self._early_look is None or self._early_look.done():
                    self._early_look = asyncio.get_running_loop().create_task(self.look())
                await asyncio.wait([self._early_look])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(change.wait(), _LOOK_AGAIN_S)

    async def look_at_labels(self) -> None:
        """Takes what the models' files say of labels and traffic now; one that cannot be understood changes nothing."""
        base_paths = {name: model.config.base_path for name, model in self._models.items() if model.present}
        loop = asyncio.get_running_loop()
        for name, stored in (
            await loop.run_in_executor(self._files_executor, self._stored_files.look, base_paths)
        ).items():
            model = self._models.get(name)
            if model is not None and stored != model.stored:
                self._take_stored(name, model, stored)

    def all_problems(self) -> list[str]:
        """What is wrong with files of configuration, of labels and of traffic, in sentences."""
        stored = ((name, model.stored.problem) for name, model in sorted(self._models.items()))
        return [*self.problems.values(), *(f"{name}: {problem}" for name, problem in stored if problem is not None)]

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

    async def _look_slowly(self, name: str, source: Source) -> None:
        try:
            await self._look_into({name: source}, self._slow_executor)
            model = self._models.get(name)
            if model is not None and model.source is source and model.found is not None and not model.found.problem:
                await self._retain(model)
        except Exception:
            log.exception("looking for versions of %s failed", name)
        finally:
            del self._slow_looks[source]

    async def _retain(self, model: Model) -> None:
        needed = model.needed_here()
        if needed != model.retained:
            model.retained = needed
            await asyncio.get_running_loop().run_in_executor(self._slow_executor, model.source.retain, needed)

    async def _look_into(self, sources: Mapping[str, Source], executor: Executor) -> None:
        loop = asyncio.get_running_loop()
        for name, found in (await loop.run_in_executor(executor, look_at, sources)).items():
            model = self._models.get(name)
            if model is None or not model.present or model.source is not sources[name]:
                continue  # the configuration has changed meanwhile
            self._take(name, model, found if isinstance(found, Found) else unseen(model.origins, found))
            for number in model.to_try_again(loop.time()):
                self._begin_load(name, model, number)
        if origins := self._to_look_at(sources):
            self._compare(await loop.run_in_executor(executor, fingerprints, origins))

    def _configure(self, configs: Mapping[str, ModelConfig]) -> None:
        for name, config in configs.items():
            model = self._models.get(name)
            if model is None:
                self._models[name] = Model(config, self._open_source(name, config))
                self.changes.announce()
            elif config != model.config or not config.loads_like(model.config) or not model.present:
                if config.place != model.config.place:
                    model.source = self._open_source(name, config)
                model.config, model.present = config, True
                for version in model.versions.values():
                    if version.servable is not None:
                        version.servable.reconfigure(config.batching)
                self._reconcile(name, model)
        for name, model in list(self._models.items()):
            if name not in configs and model.present:
                model.present, model.found = False, Found()
                self._reconcile(name, model)

    def _take(self, name: str, model: Model, found: Found) -> None:
        if self._is_first_look:
            model.settled |= found.origins.keys()
        if found.problem is not None:
            if model.found is None or found.problem != model.found.problem:
                log.warning("%s: %s; what was there before stays", name, found.problem)
            found = found._replace(labels=model.found.labels if model.found is not None else {})
        if found == model.found:
            return
        for number, origin in model.origins.items():
            if found.origins.get(number) != origin:
                model.settled.discard(number)
                model.looks.pop(number, None)
        model.found = found
        self._reconcile(name, model)

    def _take_stored(self, name: str, model: Model, stored: Stored) -> None:
        if stored.problem is not None and stored.problem != model.stored.problem:
            log.warning("%s: %s; labels and traffic stay as they were", name, stored.problem)
        model.stored = stored
        self._metrics.stored_problem(name, is_there=stored.problem is not None)
        self._reconcile(name, model)

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

    def _to_look_at(self, names: Mapping[str, Source]) -> dict[tuple[str, int], Origin]:
        return {
            (name, number): model.origins[number]
            for name, model in ((name, self._models[name]) for name in names if name in self._models)
            for number in (*model.waiting, *(n for n, version in model.versions.items() if version.is_open_to_change))
            if number in model.origins
        }

    def _compare(self, looks: Mapping[tuple[str, int], Fingerprint]) -> None:
        for (name, number), files in looks.items():
            model = self._models.get(name)
            if model is None or not model.look(number, files):
                continue
            version = model.versions.get(number)
            if version is None or model.is_outdated(number):
                self._reconcile(name, model)
            elif version.is_open_to_change and files != version.files:
                if version.failed:
                    del model.versions[number]
                    self._reconcile(name, model)
                else:
                    self._begin_load(name, model, number)

    def _reconcile(self, name: str, model: Model) -> None:
        self._forget_ended(name, model)
        self._choose(name, model)
        aspired = model.aspired()
        for number in aspired & model.versions.keys():
            if model.versions[number].state is State.END:  # rolled back to a version that was served before
                del model.versions[number]
            elif model.is_outdated(number) and number in model.settled:
                self._begin_load(name, model, number)
        model.waiting = frozenset(
            number for number in aspired - model.settled if number not in model.versions or model.is_outdated(number)
        )
        if model.present and not aspired:
            return  # being filled, cleared, or all of it broken: what is served stays
        states = {number: version.state for number, version in model.versions.items()}
        steps = next_steps(aspired, states, model.settled)
        for number in steps.load:
            self._begin_load(name, model, number)
        for number in steps.unload:
            self._enter(name, number, model.versions[number], State.UNLOADING)
            self._begin(self._unload_version(name, model, number))
        if steps.unload:
            self._choose(name, model)
            self.changes.announce()
        if not model.present and not model.versions:
            self._models.pop(name, None)
            self._metrics.stored_problem(name, is_there=False)
            self._metrics.labels(name, {})
            self.changes.announce()

    def _forget_ended(self, name: str, model: Model) -> None:
        """Drops versions that are gone, and those that failed as they no longer are, which is worth another try."""
        for number, version in list(model.versions.items()):
            if version.state is State.END and number not in model.origins:
                self._metrics.forget_version(name, number)
                del model.versions[number]
            elif version.failed and model.is_outdated(number):
                del model.versions[number]

    def _begin_load(self, name: str, model: Model, number: int) -> None:
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
        version.files = await loop.run_in_executor(self._executor, version.origin.fingerprint)
        try:
            loaded = await loop.run_in_executor(self._executor, self._load, version.origin, version.config)
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
        self._reconcile(name, model)
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
        self._reconcile(name, model)

    async def _let_go(self, servable: Servable) -> None:
        await servable.drained()
        await asyncio.get_running_loop().run_in_executor(self._executor, servable.close)

    def _enter(self, name: str, number: int, version: Version, state: State) -> None:
        version.state = state
        self._metrics.version_state(name, number, state)
        self.changes.announce()
