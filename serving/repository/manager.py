"""Keeps the loaded versions equal to what is configured and there; a model that answers never stops doing so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from serving.errors import UnreachableError
from serving.model_config import ModelConfig
from serving.observability.metrics import Metrics
from serving.repository.catalogue import Catalogue
from serving.repository.looks import fingerprints, look_at, reason_of, unseen
from serving.repository.reconciler import Load, Reconciler, Serve
from serving.repository.records import NO_VERSION_LEFT, Model
from serving.repository.served import Served
from serving.repository.source import Fingerprint, Found, Origin, Source
from serving.repository.stored_routing import StoredFiles, StoredRouting

log = logging.getLogger("atelier.repository")

_LOOK_AGAIN_S = 0.05

OpenSource = Callable[[str, ModelConfig], Source]


class Manager(Served):
    """Looks at what is configured, at the models' versions and at their labels, and has each model follow.

    `open_source` gives what to look at for a model's versions; for loading and serving see `Reconciler`.
    `stored_files` are read in `files_executor`, which waits for no load.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        open_source: OpenSource,
        load: Load,
        serve: Serve,
        executor: Executor,
        fetch_executor: Executor,
        files_executor: Executor,
        slow_executor: Executor,
        stored_files: StoredFiles,
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self._catalogue = catalogue
        self._open_source = open_source
        self._files_executor = files_executor
        self._slow_executor = slow_executor
        self._stored_files = stored_files
        self._metrics = metrics
        self._reconciler = Reconciler(
            self._models,
            self.changes,
            load=load,
            serve=serve,
            executor=executor,
            fetch_executor=fetch_executor,
            metrics=metrics,
        )
        self._is_first_look = True
        self._looking = asyncio.Lock()
        self.problems: Mapping[str, str] = {}
        """What is wrong with the files that configure the models, by their names; what they said before counts."""
        self._slow_looks: dict[Source, asyncio.Task[None]] = {}
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

    def look_soon(self) -> asyncio.Task[None]:
        """Has a look begun that does not wait for the next one of `watch`; it is shared by all who want one."""
        if self._early_look is None or self._early_look.done():
            self._early_look = asyncio.get_running_loop().create_task(self._look_early())
        return self._early_look

    async def _look_early(self) -> None:
        try:
            await self.look()
        except Exception:
            log.exception("looking for models failed")

    async def look_until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Looks again and again, and at once, until the condition holds: for who knows that something has changed.

        Whoever waits shares the same looks.

        Raises:
            TimeoutError: it did not hold in time.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():
                change = self.changes.next()
                await asyncio.wait([self.look_soon()])
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
        """What is wrong with files of configuration, of labels, of traffic and of versions, in sentences."""
        of_models = (
            f"{name}: {problem}"
            for name, model in sorted(self._models.items())
            for problem in (model.stored.problem, model.unbacked)
            if problem is not None
        )
        return [*self.problems.values(), *of_models]

    def stop_looking(self) -> None:
        """Forgets the looks that are under way: what they look into is closed next, and that is no news."""
        for look in (self._early_look, *self._slow_looks.values()):
            if look is not None:
                look.cancel()

    async def settle(self) -> None:
        """Waits until everything that was begun has ended."""
        await self._reconciler.settle()

    def close(self) -> None:
        """Closes every back end; only when nothing is being answered any more."""
        self._reconciler.close()

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
                self._reconciler.begin_load(name, model, number)
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
                self._reconciler.reconcile(name, model)
        for name, model in list(self._models.items()):
            if name not in configs and model.present:
                model.present, model.found = False, Found()
                self._reconciler.reconcile(name, model)

    def _take(self, name: str, model: Model, found: Found) -> None:
        if self._is_first_look:
            model.settled |= found.origins.keys()
        if found.problem is not None:
            if model.found is None or found.problem != model.found.problem:
                log.warning("%s: %s; what was there before stays", name, found.problem)
            found = found._replace(labels=model.found.labels if model.found is not None else {})
        if found == model.found:
            return
        if model.origins and not found.origins and found.problem is None and model.current is not None:
            log.warning("%s: %s", name, NO_VERSION_LEFT)
        for number, origin in model.origins.items():
            if found.origins.get(number) != origin:
                model.settled.discard(number)
                model.looks.pop(number, None)
        model.found = found
        self._reconciler.reconcile(name, model)

    def _take_stored(self, name: str, model: Model, stored: StoredRouting) -> None:
        if stored.problem is not None and stored.problem != model.stored.problem:
            log.warning("%s: %s; labels and traffic stay as they were", name, stored.problem)
        model.stored = stored
        self._metrics.stored_problem(name, is_there=stored.problem is not None)
        self._reconciler.reconcile(name, model)

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
                self._reconciler.reconcile(name, model)
            elif version.is_open_to_change and files != version.files:
                if version.failed:
                    self._metrics.forget_version(name, number)
                    del model.versions[number]
                    self._reconciler.reconcile(name, model)
                else:
                    self._reconciler.begin_load(name, model, number)
