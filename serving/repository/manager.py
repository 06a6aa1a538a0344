"""Keeps the loaded versions equal to what the models folder asks for; a model that answers never stops doing so."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from serving.bundle import Task
from serving.errors import BundleError, InvalidInputError, ModelNotFoundError
from serving.metrics import Metrics
from serving.repository.changes import Changes
from serving.repository.loader import Loaded
from serving.repository.servable import Servable
from serving.repository.source import Fingerprint, ModelFolder, Source, fingerprint, has_manifest, is_settled
from serving.repository.transition import State, latest, next_steps

log = logging.getLogger("atelier.repository")


class VersionStatus(NamedTuple):
    """What a version's state is, and why its files could not be loaded, where the last try failed."""

    version: int
    state: State
    error: str | None


class ModelStatus(NamedTuple):
    """A model with the states of its versions, newest first; `task` is None where nothing served declares one."""

    name: str
    task: Task | None
    versions: list[VersionStatus]


@dataclass(slots=True)
class _Version:
    folder: Path
    state: State = State.LOADING
    error: str | None = None
    files: Fingerprint = ()
    servable: Servable | None = None

    @property
    def answers(self) -> bool:
        """A version that is loaded again answers meanwhile, with what it was loaded from before."""
        return self.state in {State.LOADING, State.AVAILABLE} and self.servable is not None

    @property
    def failed(self) -> bool:
        """Quarantined; an unloaded version has ended too."""
        return self.state is State.END and self.error is not None

    @property
    def is_open_to_change(self) -> bool:
        """Its files, as they were last loaded, are worth another try when they change: published ones never do."""
        untrusted = self.error is not None or not has_manifest(self.files)
        return self.failed or (self.state is State.AVAILABLE and untrusted)


@dataclass(slots=True)
class _Model:
    folder: ModelFolder
    present: bool = True
    versions: dict[int, _Version] = field(default_factory=dict)
    current: Servable | None = None
    settled: set[int] = field(default_factory=set)
    waiting: frozenset[int] = frozenset()
    looks: dict[int, Fingerprint] = field(default_factory=dict)

    def look(self, number: int, files: Fingerprint) -> bool:
        """Takes what a version's files look like now; says whether they have settled."""
        settled = is_settled(files, self.looks.get(number))
        (self.settled.add if settled else self.settled.discard)(number)
        self.looks[number] = files
        return settled


class Manager:
    """Owns every version's life: START → LOADING → AVAILABLE → UNLOADING → END.

    `load` opens a version and is called in `executor`; `serve` makes the result answer and is called on the event loop.
    """

    def __init__(
        self,
        models: Path,
        *,
        load: Callable[[Path], Loaded],
        serve: Callable[[str, int, Loaded], Servable],
        executor: Executor,
        metrics: Metrics,
    ) -> None:
        self._models_dir = models
        self._source = Source(models)
        self._load = load
        self._serve = serve
        self._executor = executor
        self._metrics = metrics
        self._models: dict[str, _Model] = {}
        self._is_first_look = True
        self._tasks: set[asyncio.Task[None]] = set()
        self.changes = Changes()

    async def watch(self, interval_s: float) -> None:
        """Steps until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.step()
            except Exception:
                log.exception("looking at the models folder failed; the next look is in %s s", interval_s)

    async def step(self) -> None:
        """Looks at the folder once and begins what has to be done; does not wait for loads.

        What the first look finds is loaded as it is. Later, a version without a manifest has to look the same twice.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._executor, self._source.scan)
        except OSError as error:
            log.warning("the models folder cannot be read, all versions stay as they are: %s", error.strerror)
            return
        self._take(found)
        if version_dirs := self._to_look_at():
            self._look_at(await loop.run_in_executor(self._executor, _fingerprints, version_dirs))

    async def settle(self) -> None:
        """Waits until everything that was begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def resolve(self, name: str, version: int | None = None, label: str | None = None) -> Servable:
        """The servable that a request names; without a version, the newest.

        Raises:
            InvalidInputError: no name, or an unknown label.
            ModelNotFoundError: no such model or version is available.
        """
        model = self._models.get(name)
        if version is None and label is None and model is not None and model.current is not None:
            return model.current
        if not name:
            raise InvalidInputError("ModelSpec has no name specified.")
        if label is not None:
            raise InvalidInputError(f"Unrecognized servable version label: {label}")
        if model is not None and version is not None:
            record = model.versions.get(version)
            if record is not None and record.answers and record.servable is not None:
                return record.servable
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise ModelNotFoundError(f"Servable not found for request: {wanted}")

    def models(self) -> list[ModelStatus]:
        """Every model that is known with the states of its versions, served or not."""
        return [
            ModelStatus(name, model.current.task if model.current is not None else None, _statuses(model))
            for name, model in sorted(self._models.items())
        ]

    def answers_for(self, name: str) -> bool | None:
        """Whether a model has a version that answers; None where there is no such model."""
        model = self._models.get(name)
        return None if model is None else model.current is not None

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """States of a model's versions, newest first; of one version, where it is given.

        Raises:
            ModelNotFoundError: no such model or version is known.
        """
        model = self._models.get(name)
        known = _statuses(model) if model is not None else []
        found = [status for status in known if version is None or status.version == version]
        if not found:
            wanted = "any versions" if version is None else f"version {version}"
            raise ModelNotFoundError(f"Could not find {wanted} of model {name}")
        return found

    def not_ready(self) -> list[str]:
        """Why the gateway cannot answer for all of its models; empty when it can.

        Folders without any version say so only where there is nothing else: a stray one must not stop the others.
        """
        present = [(name, model) for name, model in sorted(self._models.items()) if model.present]
        wanted = [(name, model) for name, model in present if model.versions] or present
        if not wanted:
            return ["no model was found"]
        return [f"{name}: {self._reason(model)}" for name, model in wanted if model.current is None]

    def close(self) -> None:
        """Closes every back end; only when nothing is being answered any more."""
        for model in self._models.values():
            for record in model.versions.values():
                if record.servable is not None:
                    record.servable.close()

    def _take(self, found: Mapping[str, ModelFolder]) -> None:
        for name, folder in found.items():
            if name not in self._models:
                settled = set(folder.versions) if self._is_first_look else set()
                self._models[name] = _Model(folder._replace(version_dirs={}), settled=settled)
                self.changes.announce()
        self._is_first_look = False
        # A models folder that is itself a base path is no model to `scan` once its last version is gone.
        cleared = not any(folder.version_dirs for folder in found.values())
        for name, model in list(self._models.items()):
            present = name in found or (cleared and model.folder.base_path == self._models_dir)
            folder = found.get(name) or model.folder._replace(version_dirs={})
            if folder is not model.folder or present != model.present:
                model.folder, model.present = folder, present
                self._reconcile(name, model)

    def _to_look_at(self) -> dict[tuple[str, int], Path]:
        return {
            (name, number): model.folder.version_dirs[number]
            for name, model in self._models.items()
            if model.versions or model.waiting
            for number in (*model.waiting, *(n for n, record in model.versions.items() if record.is_open_to_change))
            if number in model.folder.version_dirs
        }

    def _look_at(self, looks: Mapping[tuple[str, int], Fingerprint]) -> None:
        for (name, number), files in looks.items():
            model = self._models.get(name)
            if model is None or not model.look(number, files):
                continue
            record = model.versions.get(number)
            if record is None:
                self._reconcile(name, model)
            elif record.is_open_to_change and files != record.files:
                if record.failed:
                    del model.versions[number]
                    self._reconcile(name, model)
                else:
                    self._begin_load(name, model, number)

    def _reconcile(self, name: str, model: _Model) -> None:
        on_disk = model.folder.versions
        model.settled &= on_disk
        model.looks = {number: files for number, files in model.looks.items() if number in on_disk}
        for number, record in list(model.versions.items()):
            if record.state is State.END and number not in on_disk:
                del model.versions[number]
                self._metrics.forget_version(name, number)
        failed = {number for number, record in model.versions.items() if record.failed}
        unloaded = [
            number for number, record in model.versions.items() if record.state is State.END and not record.error
        ]
        aspired = latest(on_disk - failed)
        for number in unloaded:
            if number in aspired:  # rolled back to a version that was served before
                del model.versions[number]
        model.waiting = aspired - model.versions.keys() - model.settled
        if model.present and not aspired:
            return  # being filled, cleared, or all of it broken: what is served stays
        states = {number: record.state for number, record in model.versions.items()}
        steps = next_steps(aspired, states, model.settled)
        for number in steps.load:
            model.versions[number] = _Version(model.folder.version_dirs[number])
            self._begin_load(name, model, number)
        for number in steps.unload:
            self._enter(name, number, model.versions[number], State.UNLOADING)
            self._begin(self._unload_version(name, model, number))
        if steps.unload:
            self._choose_current(model)
        if not model.present and not model.versions:
            self._models.pop(name, None)
            self.changes.announce()

    def _begin_load(self, name: str, model: _Model, number: int) -> None:
        self._enter(name, number, model.versions[number], State.LOADING)
        self._begin(self._load_version(name, model, number))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load_version(self, name: str, model: _Model, number: int) -> None:
        record = model.versions[number]
        replaced = record.servable
        started_at = time.perf_counter()
        loop = asyncio.get_running_loop()
        record.files = await loop.run_in_executor(self._executor, fingerprint, record.folder)
        try:
            loaded = await loop.run_in_executor(self._executor, self._load, record.folder)
            record.servable = self._serve(name, number, loaded)
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
            record.error = reason
            self._metrics.load_failure(name)
            self._enter(name, number, record, State.END if replaced is None else State.AVAILABLE)
        else:
            record.error = None
            self._enter(name, number, record, State.AVAILABLE)
            self._choose_current(model)
            log.info("%s version %d is available after %.2f s", name, number, time.perf_counter() - started_at)
        self._reconcile(name, model)
        if replaced is not None and replaced is not record.servable:
            await replaced.drained()
            replaced.close()

    async def _unload_version(self, name: str, model: _Model, number: int) -> None:
        record = model.versions[number]
        servable = record.servable
        if servable is not None:
            await servable.drained()
            record.servable = None
            servable.close()
        record.error = None  # it is not quarantined, whatever a later change of its files was
        self._metrics.end_batches(name, number)
        self._enter(name, number, record, State.END)
        log.info("%s version %d is unloaded", name, number)
        self._reconcile(name, model)

    def _choose_current(self, model: _Model) -> None:
        available = [number for number, record in model.versions.items() if record.answers]
        model.current = model.versions[max(available)].servable if available else None
        self.changes.announce()

    def _enter(self, name: str, number: int, record: _Version, state: State) -> None:
        record.state = state
        self._metrics.version_state(name, number, state)
        self.changes.announce()

    @staticmethod
    def _reason(model: _Model) -> str:
        errors = [f"version {number}: {record.error}" for number, record in model.versions.items() if record.error]
        return "; ".join(errors) or (
            "loading" if model.versions or model.waiting else "no version folder (a plain number) was found"
        )


def _fingerprints(version_dirs: Mapping[tuple[str, int], Path]) -> dict[tuple[str, int], Fingerprint]:
    return {key: fingerprint(version_dir) for key, version_dir in version_dirs.items()}


def _statuses(model: _Model) -> list[VersionStatus]:
    return [
        VersionStatus(number, record.state, record.error)
        for number, record in sorted(model.versions.items(), reverse=True)
    ]
