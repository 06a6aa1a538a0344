"""`atelier traffic`: which version answers whom, what its shadow has found out, and what was changed last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from atelier.admin import AdminApi, TokenFile, admin_api, change_text, whoami
from atelier.client import DEFAULT_URL
from atelier.console import WRONG_USE, fail, plain_console, print_json
from atelier.options import AsJson, Url

_SHOWN_CHANGES = 5
_NONE = "none"


def traffic(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    weights: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TARGET=WEIGHT…]", help="How requests that name nothing are divided, such as stable=95 canary=5."
        ),
    ] = None,
    sticky_header: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Requests with equal values of this header stay with one version."),
    ] = None,
    shadow: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help=f"A label or version that gets copies of requests, or {_NONE}."),
    ] = None,
    share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="With --shadow: the part of the requests.", show_default="1")
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="No weights and no shadow: the newest version answers.")
    ] = False,
    late: Annotated[bool, typer.Option("--late", help="Also targets that do not answer yet.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Show how a model's requests are divided, and what its shadow has found out; with weights, divide them so.

    Every worker process follows within a second, and `atelier rollback MODEL` takes the change back.
    """
    sets = weights or sticky_header is not None or shadow is not None
    if clear and sets:
        fail("traffic: expected --clear, or weights, a header or a shadow; received both", WRONG_USE)
    if share is not None and shadow in {None, _NONE}:
        fail("traffic: expected a TARGET in --shadow with --share, received none", WRONG_USE)
    chosen = _weights(weights or [])
    with admin_api(url, token_file) as api:
        if clear:
            api.ask("DELETE", _path(model), {"by": whoami()})
        elif sets:
            now = api.model(model)
            body: dict[str, Any] = {
                "traffic": chosen or now["traffic"],
                "sticky_header": now["sticky_header"] if sticky_header is None else sticky_header,
                "shadow": _shadow(shadow, share, now["shadow"]),
                "late": late,
                "by": whoami(),
            }
            api.ask("PUT", _path(model), body)
        _show(api, model, as_json=as_json)


def _path(model: str) -> str:
    return f"models/{quote(model, safe='')}/traffic"


def _weights(texts: Sequence[str]) -> dict[str, int]:
    weights = {}
    for text in texts:
        target, _, weight = text.rpartition("=")
        if not target or not (weight.isascii() and weight.isdigit()):
            fail(f"traffic: expected TARGET=WEIGHT such as stable=95, received {text!r}", WRONG_USE)
        weights[target] = int(weight)
    return weights


def _shadow(target: str | None, share: float | None, now: dict[str, Any] | None) -> dict[str, Any] | None:
    if target == _NONE:
        return None
    if target is not None:
        return {"target": target, **({} if share is None else {"share": share})}
    return _without_version(now)


def _without_version(shadow: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if shadow is None else {name: value for name, value in shadow.items() if name != "version"}


def _show(api: AdminApi, model: str, *, as_json: bool) -> None:
    found = api.model(model)
    changes = api.ask("GET", f"models/{quote(model, safe='')}/changes")["changes"][:_SHOWN_CHANGES]
    if as_json:
        print_json({**found, "changes": changes})
        return
    from rich.table import Table

    console = plain_console()
    console.print(_sentence(found))
    labels = Table("label", "version", "", box=None, header_style="bold")
    for label, one in found["labels"].items():
        labels.add_row(label, str(one["version"]), _label_remark(one))
    for one in found["comparisons"]:
        _print_comparison(console, one)
    done = Table("changed", "by", "what", box=None, header_style="bold")
    for change in changes:
        how = "" if change["action"] in {"label", "traffic"} else f" ({change['action']})"
        done.add_row(change["at"].replace("T", " ")[:19], change["by"], change_text(change) + how)
    for table in (labels, done):
        if table.row_count:
            console.print(table)
    if found["problem"]:
        console.print(f"{found['problem']}; what it said before goes on")


def _sentence(found: dict[str, Any]) -> str:
    from serving.traffic.settings import TrafficSettings

    settings = {name: found[name] for name in TrafficSettings.model_fields}
    settings["shadow"] = _without_version(found["shadow"])
    configured = " (as configured)" if found["traffic_configured"] else ""
    return (
        f"{found['name']}: requests that name no version go to {TrafficSettings.model_validate(settings)}{configured}"
    )


def _label_remark(label: dict[str, Any]) -> str:
    remarks = []
    if label["answers"] is None:
        remarks.append("does not answer yet")
    elif label["answers"] != label["version"]:
        remarks.append(f"version {label['answers']} answers until it is loaded")
    if label["configured"]:
        remarks.append("configured")
    return ", ".join(remarks)


def _print_comparison(console: Any, one: dict[str, Any]) -> None:
    counts = f"{one['compared']:,} requests compared, {one['failed']:,} failed, {one['dropped']:,} dropped"
    console.print(f"shadow, version {one['version']}, beside version {one['primary_version']}: {counts}")
    if one["agreement"] is None:
        return
    distance = "" if one["mean_distance"] is None else f"; mean distance {one['mean_distance']:.2g}"
    if one["max_distance_at_most"] is not None:
        distance += f", never above {one['max_distance_at_most']:g}"
    console.print(f"  the same answer for {one['agreement']:.2%} of {one['rows']:,} rows{distance}")
    shadow_ms, primary_ms = one["shadow_mean_ms"], one["primary_mean_ms"]
    console.print(f"  mean time {shadow_ms:.2f} ms, of version {one['primary_version']} {primary_ms:.2f} ms")
