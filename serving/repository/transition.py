"""Which versions of a model should be served, and the next steps towards that. Pure functions, safe to repeat."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import NamedTuple

from serving.model_config import Latest, Specific, VersionPolicy


class State(IntEnum):
    """A version's state, with TensorFlow Serving's numbers (tensorflow_serving/apis/get_model_status.proto)."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Steps(NamedTuple):
    """What to begin now."""

    load: tuple[int, ...]
    unload: tuple[int, ...]


def chosen(policy: VersionPolicy, versions: Collection[int]) -> frozenset[int]:
    """The versions that a model's version policy takes, of those that are there."""
    if isinstance(policy, Latest):
        return frozenset(sorted(versions, reverse=True)[: policy.latest])
    if isinstance(policy, Specific):
        return policy.specific & frozenset(versions)
    return frozenset(versions)


def next_steps(aspired: Collection[int], states: Mapping[int, State], settled: Collection[int]) -> Steps:
    """From where the versions are to where they should be, without a moment in which none answers.

    What is aspired and not there is loaded, once its files have settled. What is available and no longer aspired is
    unloaded, but only once an aspired version is available, or none is aspired at all. A version that has ended
    (unloaded or failed) is not loaded again by itself: the caller forgets its state when its files have changed.
    """
    replaced = not aspired or any(states.get(version) is State.AVAILABLE for version in aspired)
    return Steps(
        load=tuple(sorted(version for version in aspired if version not in states and version in settled)),
        unload=tuple(
            sorted(
                version
                for version, state in states.items()
                if state is State.AVAILABLE and version not in aspired and replaced
            )
        ),
    )
