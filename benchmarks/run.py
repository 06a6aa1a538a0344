"""`make bench`: the gateway and the reference servers in one run, alternating, on this machine.

Exit codes: 0 measured; 1 a server gave a wrong answer, or the gateway did not start; never by the clock.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.clients import WrongAnswerError
from benchmarks.load import LoadError, run_load, tool_for
from benchmarks.machine import describe_machine
from benchmarks.model import Model, find_model
from benchmarks.processes import StartError, usage
from benchmarks.random_mlp import write_random_mlp
from benchmarks.report import PACKAGES, Footprint, Report, Round, as_json, as_markdown
from benchmarks.servers import COMMANDS, GATEWAY, Server, running

MB = 1e6
CHECKED_ROWS = 3


def main() -> int:
    """Reads the command line, measures, writes the report, prints it."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        repository = options.models.resolve() if options.models else None
        model = find_model(repository, options.model) if repository else write_random_mlp(Path(folder))
        report = Report(f"{model.name}/{model.version}", options.seconds, describe_machine(PACKAGES))
        try:
            measure(report, model, in_flight=options.in_flight, rounds=options.rounds)
        except WrongAnswerError as error:
            print(f"wrong answer: {error}", file=sys.stderr)
            return 1
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench.json").write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")
    (options.output / "bench.md").write_text(as_markdown(report), encoding="utf-8")
    print(as_markdown(report))
    return 1 if GATEWAY in report.missing else 0


def measure(report: Report, model: Model, *, in_flight: Sequence[int], rounds: int) -> None:
    """Starts every server, checks its answers, and adds what it finds to the report.

    Raises:
        WrongAnswerError: a server answers something else than ONNX Runtime does, before or after load.
    """
    with ExitStack() as stack:
        servers = _start_all(stack, model, report)
        idle = {server.name: usage(server.pid).resident_bytes / MB for server in servers}
        for protocol in ("grpc", "rest"):
            speaking = [server for server in servers if (server.grpc_port, server.rest_port)[protocol == "rest"]]
            if tool_for(protocol) is None:
                report.missing[protocol] = "no load generator (Debian: apt-get install nghttp2-client wrk)"
                continue
            for level in in_flight:
                for number in range(rounds):
                    _round(report, model, speaking, protocol, level, warm_up=number == 0)
        for server in servers:
            loaded_mb = usage(server.pid).resident_bytes / MB
            ready_s = server.seconds_to_ready
            report.footprints.append(Footprint(server.name, ready_s, idle[server.name], loaded_mb))


def _start_all(stack: ExitStack, model: Model, report: Report) -> list[Server]:
    servers = []
    for name in COMMANDS:
        _say(f"starting {name}")
        try:
            server = stack.enter_context(running(name, model))
        except (StartError, OSError) as error:
            report.missing[name] = str(error)
            continue
        _check(server, model, CHECKED_ROWS)
        servers.append(server)
    return servers


def _round(
    report: Report, model: Model, servers: Sequence[Server], protocol: str, in_flight: int, *, warm_up: bool
) -> None:
    """One run against each server in turn; its answers are checked again afterwards."""
    for server in servers:
        try:
            if warm_up:
                run_load(server, protocol, model, in_flight=in_flight, seconds=1)
            before = usage(server.pid)
            load = run_load(server, protocol, model, in_flight=in_flight, seconds=report.seconds)
        except LoadError as error:
            report.missing[f"{server.name}, {protocol}, {in_flight} in flight"] = str(error)
            continue
        cpu_s = usage(server.pid).cpu_s - before.cpu_s
        _check(server, model, 1)
        report.rounds.append(Round(protocol, in_flight, server.name, load, cpu_s * 1e6 / load.requests))
        _say(f"{protocol}, {in_flight} in flight, {server.name}: {load.per_second:,.0f} requests/s")


def _check(server: Server, model: Model, rows: int) -> None:
    try:
        server.check(model, rows)
    except WrongAnswerError as error:
        raise WrongAnswerError(f"{server.name}: {error}") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--models", type=Path, help="a models folder (default: an MLP 784-128-10, random weights)")
    parser.add_argument("--model", help="the model's name (default: the first)")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 16, 64], help="requests at a time")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per setting (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds per round (default: 3)")
    parser.add_argument("--output", type=Path, default=Path("bench-output"), help="where the report goes")
    parser.add_argument("--smoke", action="store_true", help="one short round: proves only that it runs")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds, options.in_flight = 1, 1, [4]
    return options


if __name__ == "__main__":
    sys.exit(main())
