"""Which version each label means now. Pure functions.

A label may name a version that is not there yet (late binding): until that one answers, the label goes on meaning the
version that it meant before, so that moving a label fails no request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


def bind(wanted: Mapping[str, int], answering: Collection[int], bound: Mapping[str, int]) -> dict[str, int]:
    """The version of each label, from what is `wanted` and what the labels were `bound` to before.

    A label is left out while neither version answers.
    """
    versions = ((label, version if version in answering else bound.get(label)) for label, version in wanted.items())
    return {label: version for label, version in versions if version in answering and version is not None}


def needed(wanted: Mapping[str, int], bound: Mapping[str, int]) -> frozenset[int]:
    """The versions that labels need: those that they name, and those that they still mean."""
    return frozenset(wanted.values()) | {version for label, version in bound.items() if label in wanted}
