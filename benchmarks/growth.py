"""`make bench-growth`: the gateway alone, as one thing grows: connections, models, workers, image size, batch size.

Each point is a gateway of its own with its defaults, the answers checked before and after, the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.calls import Call, tfs_grpc, tfs_rest
from benchmarks.growth_picture import draw
from benchmarks.machine import describe_machine, in_a_sentence
from benchmarks.measure import MB, say
from benchmarks.model import Model
from benchmarks.options import names_of
from benchmarks.random_models import write_random_mlp
from benchmarks.servers import Opening, gateway

PACKAGES = ("atelier", "uvloop", "onnxruntime", "numpy")
IN_FLIGHT = 64


@dataclass(frozen=True)
class Step:
    """One point to measure: `at` is what grows, a request has `images` images."""

    at: int
    model: Model
    opening: Opening
    in_flight: int = IN_FLIGHT
    images: int = 1


@dataclass(frozen=True)
class Curve:
    """What grows; `steps` makes the models it needs in a folder."""

    title: str
    values: Sequence[int]
    steps: Callable[[Path, Sequence[int]], Iterator[Step]]


@dataclass(frozen=True)
class Point:
    """Medians over the rounds; milliseconds are a request's, megabytes are those of all processes after load."""

    curve: str
    at: int
    images_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_image: float
    failed: int
    resident_mb: float


def _connections(folder: Path, values: Sequence[int]) -> Iterator[Step]:
    """gRPC, each connection with one request in flight."""
    model = write_random_mlp(folder)
    for at in values:
        yield Step(at, model, gateway(_one_stream_each, "grpc_port"), in_flight=at)


def _one_stream_each(address: str, model: Model) -> Call:
    return replace(tfs_grpc(address, model), streams=1)


def _models(folder: Path, values: Sequence[int]) -> Iterator[Step]:
    """REST, whose path names the model: all models in turn."""
    for at in values:
        names = [f"mlp-{number}" for number in range(at)]
        models = [write_random_mlp(folder / str(at), name=name) for name in names]
        yield Step(at, models[0], gateway(partial(_in_turn, models=models), "rest_port"))


def _in_turn(address: str, model: Model, models: Sequence[Model]) -> Call:
    calls = [tfs_rest(address, each) for each in models]

    def check() -> None:
        for call in calls:
            call.check()

    return replace(tfs_rest(address, model), others=tuple(call.url for call in calls[1:]), check=check)


def _workers(folder: Path, values: Sequence[int]) -> Iterator[Step]:
    """gRPC over 16 connections, since a connection stays with one worker."""
    model = write_random_mlp(folder)
    for at in values:
        yield Step(at, model, gateway(_four_streams_each, "grpc_port", "--workers", str(at)))


def _four_streams_each(address: str, model: Model) -> Call:
    return replace(tfs_grpc(address, model), streams=4)


def _sides(folder: Path, values: Sequence[int]) -> Iterator[Step]:
    """gRPC; the model averages larger images down first, so that it costs little more."""
    for at in values:
        model = write_random_mlp(folder, side=at, name=f"mlp-{at}")
        yield Step(at, model, gateway(tfs_grpc, "grpc_port"), in_flight=16)


def _rows(folder: Path, values: Sequence[int]) -> Iterator[Step]:
    """gRPC, more and more images in a request."""
    model = write_random_mlp(folder)
    for at in values:
        yield Step(at, model, gateway(partial(tfs_grpc, rows=at), "grpc_port"), in_flight=16, images=at)


CURVES = {
    "connections": Curve("connections, one request in flight on each", (1, 4, 16, 64, 250, 1000, 2000), _connections),
    "models": Curve("models asked in turn, 64 in flight (JSON)", (1, 2, 5, 10, 20, 50), _models),
    "workers": Curve("workers, 64 in flight", (1, 2), _workers),
    "side": Curve("pixels on an image's side, 16 in flight", (28, 56, 112, 224, 448), _sides),
    "rows": Curve("images in a request, 16 in flight", (1, 2, 4, 8, 16, 32, 64, 128), _rows),
}


def main() -> int:
    """Measures, writes `growth.json`, `growth.md` and the picture, prints the table."""
    options = _options()
    points = []
    machine = describe_machine(PACKAGES)
    for name in options.curves:
        with tempfile.TemporaryDirectory() as folder:
            values = CURVES[name].values[:2] if options.smoke else CURVES[name].values
            for step in CURVES[name].steps(Path(folder), values):
                points.append(measure(name, step, options.rounds, options.seconds))
                say(str(points[-1]))
    options.output.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "seconds": options.seconds, "points": [asdict(point) for point in points]}
    text = as_markdown(points, machine, options)
    (options.output / "growth.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (options.output / "growth.md").write_text(text, encoding="utf-8")
    titles = {name: CURVES[name].title for name in options.curves}
    draw(document["points"], titles, options.picture or options.output / "growth.png")
    print(text)
    return 0


def measure(curve: str, step: Step, rounds: int, seconds: int) -> Point:
    """One point; raises what `benchmarks.servers.serving` and `run_load` raise."""
    with step.opening(step.model) as entrant:
        entrant.load(step.in_flight, 1)
        before = entrant.used and entrant.used()
        loads = [entrant.load(step.in_flight, seconds) for _ in range(rounds)]
        after = entrant.used and entrant.used()
        entrant.check()
    images = step.images * sum(load.requests for load in loads)
    cpu_s = after.cpu_s - before.cpu_s if after and before else 0.0
    return Point(
        curve,
        step.at,
        statistics.median(load.per_second for load in loads) * step.images,
        statistics.median(load.p50_ms for load in loads),
        statistics.median(load.p99_ms for load in loads),
        cpu_s * 1e6 / images,
        sum(load.failed for load in loads),
        after.resident_bytes / MB if after else 0.0,
    )


def as_markdown(points: Sequence[Point], machine: dict[str, str], options: argparse.Namespace) -> str:
    """A table per curve."""
    lines = [
        f"Medians of {options.rounds} rounds of {options.seconds} s; the load generator ran on the same machine: "
        + in_a_sentence(machine)
    ]
    for name in dict.fromkeys(point.curve for point in points):
        lines += [
            "",
            f"| {CURVES[name].title} | images/s | p50 ms | p99 ms | CPU µs an image | failed | MB resident |",
            "|--:|--:|--:|--:|--:|--:|--:|",
        ]
        lines += [
            f"| {point.at:,} | {point.images_per_s:,.0f} | {point.p50_ms:.2f} | {point.p99_ms:.2f} "
            f"| {point.cpu_us_per_image:.0f} | {point.failed} | {point.resident_mb:.0f} |"
            for point in points
            if point.curve == name
        ]
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-growth ARGS=…", description=__doc__)
    known = ",".join(CURVES)
    parser.add_argument("--curves", type=names_of(CURVES), default=list(CURVES), help=f"some of {known} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per point (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds per round (default: 3)")
    parser.add_argument("--output", type=Path, default=Path("bench-output"), help="where the figures go")
    parser.add_argument("--picture", type=Path, help="where the picture goes (default: beside the figures)")
    parser.add_argument("--smoke", action="store_true", help="two short points a curve: proves only that it runs")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds = 1, 1
    return options


if __name__ == "__main__":
    sys.exit(main())
