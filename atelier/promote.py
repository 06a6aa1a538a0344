"""`atelier promote` and `atelier rollback`: labels move, in a running gateway or in a folder of models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import quote

import typer

from atelier.admin import AdminApi, TokenFile, admin_api, change_text, whoami
from atelier.client import DEFAULT_URL
from atelier.console import FAILED, WRONG_USE, fail, print_json, sentences
from atelier.options import AsJson, Url

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.traffic.ledger import Ledger

_LOOK_EVERY_S = 0.2

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
Models = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Instead of a gateway, the folder of models: what serves it follows."),
]
From = Annotated[
    int | None, typer.Option("--from", metavar="VERSION", help="Only if the label names this version until now.")
]
WaitS = Annotated[float, typer.Option(min=0, help="Seconds to wait at most for a version to be loaded.")]
Force = Annotated[bool, typer.Option("--force", help="Also a version that is not there, or that is broken.")]


def promote(
    model: Model,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Such as stable or canary.")],
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version that it shall name.")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    models: Models = None,
    expected: From = None,
    wait: Annotated[bool, typer.Option("--wait", help="Load the version first, where it is not yet.")] = False,
    wait_s: WaitS = 60.0,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Have a label name a version, in a running gateway, without a failed request.

    The version has to answer already, or, with --wait, to be there. Every worker process follows within a second.
    `atelier rollback` takes the change back.
    """
    if models is not None:
        from serving.traffic.ledger import Author, set_label

        def decide(ledger: Ledger, author: Author) -> Ledger:
            return set_label(ledger, label, version, author, expected=expected)

        _check_label(label)
        _change_here(models, model, decide, force=force, as_json=as_json)
        return
    with admin_api(url, token_file) as api:
        body = {"version": version, "expected": expected, "late": wait, "force": force, "by": whoami()}
        done = api.ask("PUT", f"models/{quote(model, safe='')}/labels/{quote(label, safe='')}", body)
        _report(model, done["change"], f"{model}: label {label} names version {version} already", as_json=as_json)
        if wait:
            _wait_until_it_answers(api, model, label, version, wait_s)


def rollback(
    model: Model,
    label: Annotated[
        str | None, typer.Argument(metavar="[LABEL]", help="Only this label; else whatever was changed last.")
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    models: Models = None,
    expected: From = None,
    wait_s: WaitS = 60.0,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Take the last change of a model's labels or traffic back; again and again, it goes further back.

    The version that a label goes back to is loaded first, where it is not; until then the other one answers.
    """
    if expected is not None and label is None:
        fail("rollback: expected a LABEL with --from, received none", WRONG_USE)
    if models is not None:
        from serving.traffic.ledger import Author, roll_back

        def decide(ledger: Ledger, author: Author) -> Ledger:
            return roll_back(ledger, label, author, expected=expected)

        _change_here(models, model, decide, force=force, as_json=as_json)
        return
    with admin_api(url, token_file) as api:
        body = {"label": label, "expected": expected, "force": force, "by": whoami()}
        done = api.ask("POST", f"models/{quote(model, safe='')}/rollback", body)["change"]
        _report(model, done, f"{model}: nothing has changed", as_json=as_json)
        if done and done["label"] is not None and done["after"] is not None:
            _wait_until_it_answers(api, model, done["label"], done["after"], wait_s)


def _wait_until_it_answers(api: AdminApi, model: str, label: str, version: int, wait_s: float) -> None:
    give_up_at = time.monotonic() + wait_s
    while True:
        found = api.model(model)
        now = found["labels"].get(label, {})
        if now.get("answers") == version or now.get("version") != version:
            return  # the second: somebody has moved it on meanwhile
        error = next((one["error"] for one in found["versions"] if one["version"] == version and one["error"]), None)
        if error is not None:
            _did_not_come(model, label, version, now, f"it could not be loaded: {error}")
        if time.monotonic() > give_up_at:
            _did_not_come(model, label, version, now, f"it does not answer after {wait_s:g} s")
        time.sleep(_LOOK_EVERY_S)


def _did_not_come(model: str, label: str, version: int, now: dict[str, Any], reason: str) -> NoReturn:
    answers = now.get("answers")
    meanwhile = "no version answers" if answers is None else f"version {answers} goes on answering"
    fail(
        f"{model}: label {label} waits for version {version}, {meanwhile}: {reason} "
        f"(`atelier rollback {model} {label}` takes the change back)",
        FAILED,
    )


def _change_here(
    models: Path, model: str, decide: Callable[[Ledger, Any], Ledger], *, force: bool, as_json: bool
) -> None:
    """Without a gateway: the version has only to be there."""
    from serving.errors import BundleError, ConflictError
    from serving.traffic.files import change
    from serving.traffic.ledger import now_by

    folder = models / model
    if not folder.is_dir():
        fail(f"{folder} is no model's folder", WRONG_USE)
    changed: list[Ledger] = []

    def checked(ledger: Ledger) -> Ledger:
        after = decide(ledger, now_by(whoami()))
        done = after.changes[-1] if after.changes else None
        if done is not None and after.changes != ledger.changes and isinstance(done.after, int) and not force:
            _check_version(folder, done.after)
        changed.append(ledger)
        return after

    with sentences({BundleError: FAILED, ConflictError: FAILED}, interrupted="interrupted; nothing was changed"):
        after = change(folder, checked)
    done = after.changes[-1] if after.changes != changed[-1].changes else None
    document = None if done is None else done.model_dump(mode="json")
    _report(model, document, f"{model}: it is so already", as_json=as_json)


def _check_version(folder: Path, version: int) -> None:
    from serving.errors import ConflictError

    there = sorted(int(entry.name) for entry in folder.iterdir() if entry.is_dir() and entry.name.isdigit())
    if version not in there:
        known = ", ".join(map(str, there)) or "none"
        raise ConflictError(f"there is no version {version} of {folder.name}; there are: {known}")


def _check_label(label: str) -> None:
    from serving.version_labels import is_label

    if not is_label(label):
        fail(f"label: expected letters, digits, dots, hyphens and underscores, received {label!r}", WRONG_USE)


def _report(model: str, change: dict[str, Any] | None, otherwise: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"model": model, "change": change})
    else:
        typer.echo(otherwise if change is None else f"{model}: {change_text(change)}")
