"""What operators see and change while the gateway runs: labels and traffic, checked, put on record, followed at once.

Changes are written to the model's files (serving/traffic/files.py), which every worker follows. What a configuration
file says wins over those, so what is configured is not changed here.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from serving.errors import BundleError, ConflictError, InvalidInputError, UnavailableError
from serving.repository.manager import Manager
from serving.repository.records import Model
from serving.repository.stored_routing import StoredFiles
from serving.traffic import ledger
from serving.traffic.comparison import Sample, comparisons
from serving.traffic.files import change, read_ledger
from serving.traffic.ledger import Change, Ledger, now_by
from serving.traffic.settings import TrafficSettings, version_of
from serving.version_labels import is_label

log = logging.getLogger("atelier.rollout")

Figures = Callable[[], Awaitable[Iterable[Sample]]]


class Rollout:
    """The models' labels and traffic. `figures` are those of all workers; files are changed in `executor`."""

    def __init__(self, manager: Manager, stored_files: StoredFiles, executor: Executor, figures: Figures) -> None:
        self._manager = manager
        self._stored_files = stored_files
        self._executor = executor
        self._figures = figures
        self._running: set[asyncio.Task[Change | None]] = set()

    async def models(self) -> list[dict[str, Any]]:
        """Every model; see `model`."""
        samples = await self._samples()
        return [_view(status.name, self._manager.model(status.name), samples) for status in self._manager.models()]

    async def model(self, name: str) -> dict[str, Any]:
        """One model's versions, labels, traffic, and what its shadow has found out.

        Raises:
            ModelNotFoundError: there is none of that name.
        """
        return _view(name, self._manager.model(name), await self._samples())

    async def changes(self, name: str) -> list[dict[str, Any]]:
        """What was changed, the newest first.

        Raises:
            ModelNotFoundError: there is no such model.
            ConflictError: a file cannot be understood.
        """
        found = await self._in_thread(name, read_ledger)
        return [one.model_dump(mode="json") for one in reversed(found.changes)]

    async def move_label(
        self,
        name: str,
        label: str,
        version: int,
        *,
        by: str,
        expected: int | None = None,
        late: bool = False,
        force: bool = False,
    ) -> dict[str, Any]:
        """Has a label name a version that answers; with `late`, one that is there; with `force`, any number.

        Raises:
            ModelNotFoundError: there is no such model.
            ConflictError: the version does not answer; the label is configured, or does not name what was `expected`;
                or a file cannot be understood or written.
        """
        model = self._manager.model(name)
        _check_label(label)
        _check_not_configured(name, model, label)
        reason = None if force else why_not(name, model, version, late=late)
        if reason is not None:
            raise ConflictError(reason)
        return await self._change(
            name, lambda now: ledger.set_label(now, label, version, now_by(by), expected=expected)
        )

    async def remove_label(self, name: str, label: str, *, by: str) -> dict[str, Any]:
        """Takes a label away.

        Raises:
            ModelNotFoundError, ConflictError: as `move_label`.
        """
        _check_not_configured(name, self._manager.model(name), label)
        return await self._change(name, lambda now: ledger.remove_label(now, label, now_by(by)))

    async def set_traffic(
        self, name: str, traffic: TrafficSettings | None, *, by: str, late: bool = False
    ) -> dict[str, Any]:
        """Divides requests in another way; None is as without any.

        Raises:
            ConflictError: a target with a weight does not answer, unless `late`; or traffic is configured.
            ModelNotFoundError: there is no such model.
        """
        model = self._manager.model(name)
        _check_not_configured(name, model, None)
        for target in sorted(traffic.targets) if traffic is not None and not late else ():
            version = version_of(target, model.bound)
            if version is None:
                known = ", ".join(sorted(model.bound)) or "none"
                raise ConflictError(f"traffic: no version of {name} answers by the label {target}; known: {known}")
            if (reason := why_not(name, model, version, late=False)) is not None:
                raise ConflictError(f"traffic: {reason}")
        return await self._change(name, lambda now: ledger.set_traffic(now, traffic, now_by(by)))

    async def roll_back(
        self, name: str, label: str | None, *, by: str, expected: int | None = None, force: bool = False
    ) -> dict[str, Any]:
        """Takes the last change back, of the label or of anything; the version it leads to has to be there.

        Raises:
            ConflictError: nothing is on record, or the version is gone or broken, unless `force`.
            ModelNotFoundError: there is no such model.
        """
        model = self._manager.model(name)

        def decide(before: Ledger) -> Ledger:
            after = ledger.roll_back(before, label, now_by(by), expected=expected)
            done = _last(before, after)
            if done is not None:
                _check_not_configured(name, model, done.label)
                reason = why_not(name, model, done.after, late=True) if isinstance(done.after, int) else None
                if reason is not None and not force:
                    raise ConflictError(f"label {done.label} would go back, but {reason}")
            return after

        return await self._change(name, decide)

    async def _change(self, name: str, decide: Callable[[Ledger], Ledger]) -> dict[str, Any]:
        """Answers with the change, None where nothing was to be changed, and with the model after it.

        Once begun it is carried out, logged and followed, also when its client has left.
        """
        carrying_out = asyncio.get_running_loop().create_task(self._carry_out(name, decide))
        self._running.add(carrying_out)
        carrying_out.add_done_callback(self._take_notice)
        done = await asyncio.shield(carrying_out)
        return {"change": done and done.model_dump(mode="json"), "model": await self.model(name)}

    def _take_notice(self, carried_out: asyncio.Task[Change | None]) -> None:
        self._running.discard(carried_out)
        if not carried_out.cancelled():
            carried_out.exception()

    async def _carry_out(self, name: str, decide: Callable[[Ledger], Ledger]) -> Change | None:
        befores: list[Ledger] = []

        def remember(before: Ledger) -> Ledger:
            befores.append(before)
            return decide(before)

        after = await self._in_thread(name, partial(change, decide=remember))
        done = _last(befores[-1], after)
        if done is not None:
            log.info("%s: %s; by %s", name, done, done.by)
        await self._manager.look_at_labels()
        return done

    async def _samples(self) -> list[Sample]:
        """Without the figures of all workers, there is no comparison; labels move all the same."""
        try:
            return list(await self._figures())
        except UnavailableError as error:
            log.warning("comparisons cannot be told: %s", error)
            return []

    async def _in_thread(self, name: str, work: Callable[[Path], Ledger]) -> Ledger:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._folder(name))
        except BundleError as error:
            raise ConflictError(
                f"{name}: {error}; put that right, or remove the file, before anything is changed"
            ) from error
        except OSError as error:
            raise ConflictError(f"{name}: its files cannot be read: {error.strerror}") from error

    def _folder(self, name: str) -> Path:
        folder = self._stored_files.folder(name, self._manager.model(name).config.base_path)
        if folder is None:
            raise ConflictError(
                f"the versions of {name} are not on the gateway's disk, so nothing can be written beside them: start "
                "the gateway with --state-dir FOLDER (or ATELIER_STATE_DIR), where labels and traffic are kept then"
            )
        return folder


def why_not(name: str, model: Model, version: int, *, late: bool) -> str | None:
    """Why a label should not name the version; None if it may. With `late`, it need not answer yet."""
    known = model.versions.get(version)
    if known is not None and known.answers:
        return None
    if known is not None and known.failed:
        return f"version {version} of {name} could not be loaded: {known.error}"
    if version not in model.origins:
        there = ", ".join(map(str, sorted(model.origins))) or "none"
        return f"there is no version {version} of {name}; there are: {there}"
    if late:
        return None
    return (
        f"version {version} of {name} is there, but not loaded; --wait, or late in the admin API, has it loaded first"
    )


def _view(name: str, model: Model, samples: Iterable[Sample]) -> dict[str, Any]:
    traffic = model.traffic
    shadow = traffic.shadow
    target = model.shadow_target()
    return {
        "name": name,
        "versions": [{"version": one.version, "state": one.state.name, "error": one.error} for one in model.statuses()],
        "labels": {
            label: {
                "version": version,
                "answers": model.bound.get(label),
                "configured": label in model.config.version_labels,
            }
            for label, version in sorted(model.labels.items())
        },
        "traffic": dict(traffic.traffic),
        "sticky_header": traffic.sticky_header,
        "shadow": None
        if shadow is None
        else {**shadow.model_dump(), "version": target.version if target is not None else None},
        "traffic_configured": bool(model.config.targets),
        "comparisons": [dataclasses.asdict(one) for one in comparisons(samples, name)],
        "problem": model.stored.problem,
    }


def _last(before: Ledger, after: Ledger) -> Change | None:
    """The change between both, if there is one; edits that were only noticed do not count."""
    return after.changes[-1] if (after.labels, after.traffic) != (before.labels, before.traffic) else None


def _check_label(label: str) -> None:
    if not is_label(label) or label.isdigit():
        raise InvalidInputError(
            f"label: expected letters, digits, dots, hyphens and underscores, and no number, received {label[:40]!r}"
        )


def _check_not_configured(name: str, model: Model, label: str | None) -> None:
    """Raises: ConflictError: the label, or without one the traffic, comes from a configuration, which wins."""
    if label is None and model.config.targets:
        raise ConflictError(f"the traffic of {name} is set in its configuration, which wins: change it there")
    version = model.config.version_labels.get(label) if label is not None else None
    if version is not None:
        raise ConflictError(
            f"label {label} of {name} is set to version {version} in its configuration, which wins: change it there"
        )
