"""`atelier status`: what an operator wants to see of a running gateway, in one place."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from atelier.client import DEFAULT_URL, connect
from atelier.console import FAILED, fail, note, plain_console
from atelier.options import AsJson, Url
from atelier.status_rates import Rates, rates

if TYPE_CHECKING:
    from serving.client import Client, GatewayStatus

_TIMEOUT_S = 10.0


def status(
    url: Url = DEFAULT_URL,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    interval_s: Annotated[
        float, typer.Option(min=0.05, help="Seconds between two looks: rates and percentiles are of this time.")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show whether a running gateway is ready, and why not: its workers, models, versions, traffic, rates, latencies.

    All workers together, whichever one is asked. Exit code 1: it is not ready, or does not answer.
    """
    with contextlib.suppress(KeyboardInterrupt) if watch else contextlib.nullcontext():
        with connect(url, _TIMEOUT_S) as client:
            before = _look(client, url)
            if watch:
                _watch(client, url, before, interval_s, as_json=as_json)
            time.sleep(interval_s)
            now = _look(client, url)
        _print(url, now, rates(before, now), as_json=as_json)
        if not now.ready:
            raise typer.Exit(FAILED)


def _watch(client: Client, url: str, before: GatewayStatus, interval_s: float, *, as_json: bool) -> NoReturn:
    """Until an interrupt; a gateway that does not answer is asked again."""
    from serving.client import UnreachableError
    from serving.errors import DeadlineExceededError

    with _screen(url, as_json=as_json) as show:
        while True:
            time.sleep(interval_s)
            try:
                now = _look(client, url)
            except (UnreachableError, DeadlineExceededError) as error:
                note(f"atelier: {error}")
                continue
            show(now, rates(before, now))
            before = now


@contextlib.contextmanager
def _screen(url: str, *, as_json: bool) -> Iterator[Callable[[GatewayStatus, Rates], None]]:
    """Shows one status after the other: on a terminal in the same place, elsewhere one below the other."""
    console = plain_console()
    if as_json or not console.is_terminal:
        yield partial(_print, url, as_json=as_json)
        return
    from rich.live import Live

    from atelier.status_tables import status_view

    with Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
        yield lambda now, between: live.update(status_view(url, now, between), refresh=True)


def _look(client: Client, url: str) -> GatewayStatus:
    from serving.errors import DeadlineExceededError, ServingError

    try:
        return client.status()
    except DeadlineExceededError:
        raise
    except ServingError as error:
        fail(f"{url}: {error}", FAILED)


def _print(url: str, now: GatewayStatus, between: Rates, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_document(now, between)))
    else:
        from atelier.status_tables import status_view

        plain_console().print(status_view(url, now, between))


def _document(now: GatewayStatus, between: Rates) -> dict[str, Any]:
    """The gateway's own words, and beside each model what happened between both looks."""
    document = now.model_dump(mode="json")
    for model in document["models"]:
        rate = between.models[model["name"]]
        model["between_looks"] = {
            "requests_per_s": rate.requests_per_s,
            "failed_per_s": rate.failed_per_s,
            "p50_s": _finite(rate.p50_s),
            "p99_s": _finite(rate.p99_s),
            "rows_per_s": rate.rows_per_s,
        }
    return document


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or math.isinf(seconds) else seconds
