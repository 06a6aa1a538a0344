"""How a gateway's status looks to a person, on 80 columns: what is wrong in full sentences, figures in tables."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from atelier.status_rates import Rates
    from serving.client.gateway_status import GatewayStatus, VersionFigures

NOTHING = "–"
_INDENT = 2
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_MEGABYTE = 1e6


def status_view(url: str, status: GatewayStatus, between: Rates) -> RenderableType:
    """Everything, the most important first."""
    sentences = [Padding(sentence, (0, 0, 0, _INDENT)) for sentence in _sentences(status)]
    parts: list[RenderableType] = [_headline(url, status), *sentences, Text(), _workers(status, between)]
    if status.models:
        parts += [Text(), _models(status, between), Text(), _versions(status, between)]
    return Group(*parts)


def _headline(url: str, status: GatewayStatus) -> Text:
    verdict = Text("ready", "bold green") if status.ready else Text("not ready", "bold red")
    return Text.assemble(verdict, f": {url}, Atelier {status.version}, up {_duration(status.uptime_s)}")


def _sentences(status: GatewayStatus) -> Iterator[Text]:
    for reason in status.reasons:
        yield Text(f"{reason}", "red")
    for problem in status.problems:
        yield Text(f"{problem}", "yellow")
    for model in status.models:
        if model.problem:
            yield Text(f"{model.name}: {model.problem}", "yellow")
        for label, version in model.waiting_labels.items():
            yield Text(f"{model.name}: the label {label} waits for version {version}", "yellow")
        for one in model.versions:
            if one.error:
                yield Text(f"{model.name} version {one.version} could not be loaded: {one.error}", "yellow")


def _workers(status: GatewayStatus, between: Rates) -> Table:
    table = _table("worker", "state", right=("process", "up", "restarts", "memory", "CPU", "files"))
    for worker in status.workers:
        cores = between.cpu_cores.get(worker.number)
        style = "" if worker.state == "serving" else "red"
        row = [str(worker.number), worker.state]
        if worker.pid is None:
            row += [NOTHING, NOTHING, str(worker.restarts), NOTHING, NOTHING, NOTHING]
        else:
            row += [str(worker.pid), _duration(worker.uptime_s), str(worker.restarts)]
            row += [f"{worker.resident_bytes / _MEGABYTE:,.0f} MB", NOTHING if cores is None else f"{cores:.0%}"]
            row += [f"{worker.open_fds:.0f}"]
        table.add_row(*row, style=style)
    return table


def _models(status: GatewayStatus, between: Rates) -> Table:
    table = _table("model", right=("requests/s", "failed/s", "p50", "p99", "in flight", "waiting"))
    for model in status.models:
        rate = between.models[model.name]
        table.add_row(
            model.name,
            f"{rate.requests_per_s:,.1f}",
            Text(f"{rate.failed_per_s:,.1f}", "red" if rate.failed_per_s else ""),
            _latency(rate.p50_s),
            _latency(rate.p99_s),
            f"{sum(version.in_flight for version in model.versions):,}",
            f"{sum(version.queue_rows for version in model.versions):,}",
        )
    return table


def _versions(status: GatewayStatus, between: Rates) -> Table:
    table = _table("model", "version", "state", right=("workers", "traffic", "rows/s"))
    table.add_column("labels", overflow="fold")
    for model in status.models:
        rows_per_s = between.models[model.name].rows_per_s
        for rank, version in enumerate(model.versions):
            table.add_row(
                model.name if rank == 0 else "",
                version.version,
                _state(version),
                f"{version.workers}/{len(status.workers)}",
                _traffic(version),
                f"{rows_per_s[version.version]:,.1f}" if version.workers else NOTHING,
                ", ".join(version.labels),
            )
        if not model.versions:
            table.add_row(model.name, NOTHING)
    return table


def _state(version: VersionFigures) -> Text:
    if version.state == "END" and version.error:
        return Text("quarantined", "red")
    return Text(version.state, "" if version.state == "AVAILABLE" else "dim")


def _traffic(version: VersionFigures) -> str:
    if version.share:
        return f"{100 * version.share:.3g} %"
    return "shadow" if version.is_shadow else NOTHING


def _latency(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    if math.isinf(seconds):
        return "> 10 s"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"
    return f"{seconds // _DAY_S:.0f} d {seconds % _DAY_S // _HOUR_S:.0f} h"


def _table(*left: str, right: tuple[str, ...]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in left:
        table.add_column(heading, overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
