"""What the manager knows of each model and version; it alone changes these, on the event loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from serving.bundle import Task
from serving.model_config import ModelConfig
from serving.repository.labels import bind, needed
from serving.repository.servable import Servable
from serving.repository.source import NOTHING_SEEN, Fingerprint, Found, Origin, Source, is_settled
from serving.repository.stored_routing import NOTHING_STORED, StoredRouting
from serving.repository.transition import State, chosen
from serving.traffic.settings import TrafficSettings, version_of
from serving.traffic.shadow import Shadow
from serving.traffic.split import Split

NO_VERSION_LEFT = "no version folder is left; what was loaded before answers until the gateway stops"


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
    labels: Mapping[str, int]
    """The labels that clients can use now."""


@dataclass(slots=True)
class Version:
    """One version that was begun to be loaded, from `origin` under `config`."""

    origin: Origin
    config: ModelConfig
    state: State = State.LOADING
    error: str | None = None
    files: Fingerprint = NOTHING_SEEN
    tries: int = 0
    """How often in a row its place could not be reached."""
    retry_at: float | None = None
    """When it is worth another try though nothing has changed, in the event loop's time."""
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
        untrusted = self.error is not None or not self.files.is_whole
        return self.failed or (self.state is State.AVAILABLE and untrusted)


@dataclass(slots=True)
class Model:
    """One model: what is configured and found, and the versions that were begun to be loaded."""

    config: ModelConfig
    source: Source
    present: bool = True
    found: Found | None = None
    stored: StoredRouting = NOTHING_STORED
    versions: dict[int, Version] = field(default_factory=dict)
    current: Servable | None = None
    split: Split[Servable] | None = None
    turns: Iterator[int] = field(default_factory=itertools.count)
    shadow: Shadow | None = None
    bound: Mapping[str, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    waiting: frozenset[int] = frozenset()
    looks: dict[int, Fingerprint] = field(default_factory=dict)
    retained: frozenset[int] | None = None
    """What the source was told to keep on this machine."""

    @property
    def origins(self) -> Mapping[int, Origin]:
        """The versions that are there."""
        return self.found.origins if self.found is not None else {}

    @property
    def labels(self) -> Mapping[str, int]:
        """The version that each label shall mean."""
        beside = self.found.labels if self.found is not None else {}
        return {**beside, **self.stored.labels, **self.config.version_labels}

    @property
    def traffic(self) -> TrafficSettings:
        """Who answers requests that name neither a version nor a label; what is configured wins over what is stored."""
        return self.config if self.config.targets else self.stored.traffic or self.config

    def look(self, number: int, files: Fingerprint) -> bool:
        """Takes what a version's files look like now; says whether they have settled."""
        settled = is_settled(files, self.looks.get(number))
        (self.settled.add if settled else self.settled.discard)(number)
        self.looks[number] = files
        return settled

    def is_outdated(self, number: int) -> bool:
        """Whether the version, as it was loaded or failed to, is not what would be loaded now."""
        version = self.versions[number]
        if number not in self.origins or version.state in {State.LOADING, State.UNLOADING}:
            return False  # the first goes, of the others it shows when they are done
        return version.origin != self.origins[number] or not version.config.loads_like(self.config)

    def aspired(self) -> frozenset[int]:
        """The versions that should be served, of those that are there and did not fail.

        What the version policy takes, what traffic names by number, and what labels need: also a version that a label
        still means while the one that it shall mean does not answer yet.
        """
        usable = self.origins.keys() - {number for number, version in self.versions.items() if version.failed}
        numbered = {int(target) for target in self.traffic.targets if target.isdigit()}
        return chosen(self.config.policy, usable) | ((needed(self.labels, self.bound) | numbered) & usable)

    def needed_here(self) -> frozenset[int]:
        """The versions whose files should stay on this machine."""
        loaded = {number for number, version in self.versions.items() if version.state is not State.END}
        return self.aspired() | loaded

    def to_try_again(self, now: float) -> list[int]:
        """Versions whose place could not be reached some time ago."""
        return [
            number
            for number, version in self.versions.items()
            if version.failed and version.retry_at is not None and version.retry_at <= now and number in self.origins
        ]

    def choose(self) -> None:
        """Binds the labels, and those who name neither a label nor a version, to versions that answer.

        Requests are split among those targets that answer. Without any, the newest version has them all.
        """
        answering = {number for number, version in self.versions.items() if version.answers}
        self.bound = bind(self.labels, answering, self.bound)
        traffic = self.traffic
        targets = {
            name: servable
            for name, weight in traffic.traffic.items()
            if weight and (servable := self.answering(version_of(name, self.bound))) is not None
        }
        self.split = Split(traffic.traffic, targets, self.turns, traffic.sticky_header) if targets else None
        newest = self.versions[max(answering)].servable if answering else None
        self.current = newest if self.split is None else self.split.heaviest

    def shadow_target(self) -> Servable | None:
        """The version that copies of requests go to, if there is one and it answers."""
        shadow = self.traffic.shadow
        return None if shadow is None else self.answering(version_of(shadow.target, self.bound))

    def answering(self, number: int | None) -> Servable | None:
        """The version of that number, if it answers."""
        version = self.versions.get(number) if number is not None else None
        return version.servable if version is not None and version.answers else None

    def shares(self) -> dict[int, float]:
        """By version, the part of those requests that name neither a version nor a label."""
        if self.split is None:
            return {} if self.current is None else {self.current.version: 1.0}
        shares: dict[int, float] = {}
        for target, share in self.split.shares.items():
            version = version_of(target, self.bound)
            if version is not None:
                shares[version] = shares.get(version, 0.0) + share
        return shares

    def statuses(self) -> list[VersionStatus]:
        """The states of its versions, newest first."""
        return [
            VersionStatus(number, one.state, one.error) for number, one in sorted(self.versions.items(), reverse=True)
        ]

    @property
    def is_undecided(self) -> bool:
        """Whether a version may come to answer without anything changing on the disk."""
        loading = any(version.state is State.LOADING for version in self.versions.values())
        return self.found is None or bool(self.waiting) or loading

    @property
    def unbacked(self) -> str | None:
        """Why what answers could not be loaded again, by a gateway or a worker that starts now, as far as one sees."""
        if self.current is None or self.found is None:
            return None
        return self.found.problem or (None if self.origins else NO_VERSION_LEFT)

    def reason(self) -> str:
        """Why it does not answer."""
        if self.found is not None and self.found.problem and not self.versions:
            return self.found.problem
        errors = [f"version {number}: {version.error}" for number, version in self.versions.items() if version.error]
        return "; ".join(errors) or (
            "loading" if self.versions or self.waiting else "no version folder (a plain number) was found"
        )
