"""The ledger of a model's labels and traffic: what is in force, by which changes, and how one is taken back. Pure.

The record is what rollback goes by, so it always ends with what is in force: an edit by hand is added to it as soon as
something else is changed.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from serving.errors import ConflictError
from serving.traffic.settings import NEWEST, TrafficSettings

MAX_CHANGES = 100
"""Older ones are forgotten."""

Value = int | TrafficSettings | None
"""The version of a label, or how requests are divided; None is neither."""


class Author(NamedTuple):
    """Who changes something, and when (ISO 8601)."""

    by: str
    at: str


def now_by(name: str) -> Author:
    """Somebody, as far as the name can be printed, now."""
    shown = "".join(character for character in name if character.isprintable()).strip()
    return Author(shown or "unknown", datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))


SOMEBODY = "somebody, in the file"


class Change(BaseModel):
    """One label, or without a label the traffic, from one value to another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    at: str
    by: str
    action: Literal["label", "traffic", "rollback", "edit"]
    label: str | None
    before: Value
    after: Value
    undoes: int | None = None
    """The number of the change that this one takes back."""

    def __str__(self) -> str:
        if self.label is None:
            return f"requests go to {self.after or NEWEST}, before to {self.before or NEWEST}"
        return f"label {self.label} names {_version(self.after)}, before {_version(self.before)}"


def _version(value: Value) -> str:
    return "no version" if value is None else f"version {value}"


class Ledger(NamedTuple):
    """What is in force by a model's files, and how it came to be, oldest first."""

    labels: Mapping[str, int]
    traffic: TrafficSettings | None
    changes: tuple[Change, ...]

    def value(self, label: str | None) -> Value:
        """The version of a label, or without one, the traffic."""
        return self.traffic if label is None else self.labels.get(label)


def set_label(ledger: Ledger, label: str, version: int, author: Author, *, expected: int | None = None) -> Ledger:
    """Moves a label; a label that names the version already is no change.

    Raises:
        ConflictError: the label does not name the version that the author `expected`.
    """
    _check_expected(ledger, label, expected)
    return _changed(_with_edits(ledger, author), "label", label, version, author)


def remove_label(ledger: Ledger, label: str, author: Author) -> Ledger:
    """Takes a label away.

    Raises:
        ConflictError: there is no such label.
    """
    if label not in ledger.labels:
        raise ConflictError(f"label {label}: there is no such label to remove")
    return _changed(_with_edits(ledger, author), "label", label, None, author)


def set_traffic(ledger: Ledger, traffic: TrafficSettings | None, author: Author) -> Ledger:
    """Divides requests in another way; None leaves it to the configuration."""
    return _changed(_with_edits(ledger, author), "traffic", None, traffic, author)


def roll_back(ledger: Ledger, label: str | None, author: Author, *, expected: int | None = None) -> Ledger:
    """Takes the last change back that is in force: of the label, or without one, of whatever was changed last.

    Again and again, it goes further back.

    Raises:
        ConflictError: nothing is left to be taken back, or the label does not name the version that was `expected`.
    """
    if label is not None:
        _check_expected(ledger, label, expected)
    ledger = _with_edits(ledger, author)
    for change in _in_force(ledger):
        if label in {None, change.label}:
            return _changed(ledger, "rollback", change.label, change.before, author, undoes=change.number)
    raise ConflictError(f"{f'label {label}' if label else 'labels and traffic'}: no change is on record to take back")


def ways_back(ledger: Ledger) -> Mapping[str, int]:
    """The version that each label would be rolled back to, where there is one."""
    found: dict[str | None, Value] = {}
    for change in _in_force(ledger):
        found.setdefault(change.label, change.before)
    return {label: version for label, version in found.items() if label is not None and isinstance(version, int)}


def _in_force(ledger: Ledger) -> Iterator[Change]:
    """Changes that were not taken back, the newest first."""
    undone = {change.undoes for change in ledger.changes}
    return (one for one in reversed(ledger.changes) if one.action != "rollback" and one.number not in undone)


def _check_expected(ledger: Ledger, label: str, expected: int | None) -> None:
    now = ledger.labels.get(label)
    if expected is not None and now != expected:
        found = "no version" if now is None else f"version {now}"
        raise ConflictError(f"label {label}: expected it to name version {expected}, it names {found}")


def _changed(
    ledger: Ledger,
    action: Literal["label", "traffic", "rollback"],
    label: str | None,
    after: Value,
    author: Author,
    *,
    undoes: int | None = None,
) -> Ledger:
    before = ledger.value(label)
    if before == after:
        return ledger
    change = Change(
        number=_next_number(ledger.changes),
        at=author.at,
        by=author.by,
        action=action,
        label=label,
        before=before,
        after=after,
        undoes=undoes,
    )
    changes = (*ledger.changes, change)[-MAX_CHANGES:]
    if label is None:
        return Ledger(ledger.labels, after if isinstance(after, TrafficSettings) else None, changes)
    labels = {name: version for name, version in ledger.labels.items() if name != label}
    return Ledger({**labels, label: after} if isinstance(after, int) else labels, ledger.traffic, changes)


def _with_edits(ledger: Ledger, author: Author) -> Ledger:
    """With a record of what was changed otherwise since the last change of the same label, or of the traffic."""
    on_record = {change.label: change.after for change in ledger.changes}
    changes = ledger.changes
    for label, recorded in on_record.items():
        now = ledger.value(label)
        if now != recorded:
            edit = Change(
                number=_next_number(changes),
                at=author.at,
                by=SOMEBODY,
                action="edit",
                label=label,
                before=recorded,
                after=now,
            )
            changes = (*changes, edit)
    return ledger._replace(changes=changes)


def _next_number(changes: tuple[Change, ...]) -> int:
    return changes[-1].number + 1 if changes else 1
