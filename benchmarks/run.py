"""`make bench`: the gateway beside reference servers and peers in one run, alternating, on this machine.

Exit codes: 0 measured; 1 a server gave a wrong answer, or the gateway did not start; never by the clock.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.calls import tfs_grpc
from benchmarks.cases import Case, cases
from benchmarks.clients import WrongAnswerError
from benchmarks.machine import describe_machine
from benchmarks.measure import Plan, measure, measure_starts
from benchmarks.model import Model, find_model
from benchmarks.options import names_of
from benchmarks.peers.comparison import measure_peer
from benchmarks.peers.registry import PEERS
from benchmarks.random_models import WRITERS
from benchmarks.report import Report, as_json, rows
from benchmarks.report_picture import draw
from benchmarks.report_text import PACKAGES, as_markdown
from benchmarks.servers import GATEWAY, gateway

COLD = "cold"


def main() -> int:
    """Reads the command line, measures, writes the report, prints it."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        model = _model(options, Path(folder))
        report = Report(f"{model.name}/{model.version}", options.seconds, describe_machine(PACKAGES))
        warm_up_s = 0 if options.smoke else 1
        plan = Plan(options.in_flight, options.rounds, options.seconds, warm_up_s, options.cold_starts)
        try:
            _measure_all(report, [cases()[name] for name in options.cases if name != COLD], options.peers, model, plan)
            if COLD in options.cases:
                measure_starts(report, GATEWAY, gateway(tfs_grpc, "grpc_port"), model, plan.cold_starts)
        except WrongAnswerError as error:
            print(f"wrong answer: {error}", file=sys.stderr)
            return 1
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench.json").write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")
    (options.output / "bench.md").write_text(as_markdown(report), encoding="utf-8")
    draw(rows(report.rounds), options.output / "bench.png")
    print(as_markdown(report))
    return 1 if any(name.endswith(f": {GATEWAY}") for name in report.missing) else 0


def _measure_all(report: Report, chosen: Sequence[Case], peers: Sequence[str], model: Model, plan: Plan) -> None:
    for case in chosen:
        measure(report, case, model, plan)
    for name in peers:
        measure_peer(report, PEERS[name], model, plan)


def _model(options: argparse.Namespace, folder: Path) -> Model:
    if options.models:
        return find_model(options.models.resolve(), options.model)
    return WRITERS[options.model or "mlp"](folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    known = [*cases(), COLD]
    parser.add_argument("--models", type=Path, help="a models folder (default: a model with random weights)")
    parser.add_argument(
        "--model", help=f"the model's name (default: the first), or, without a folder, {' or '.join(WRITERS)}"
    )
    parser.add_argument(
        "--cases", type=names_of(known), default=known, help=f"some of {','.join(known)} (default: all)"
    )
    parser.add_argument(
        "--peers", type=names_of(PEERS), default=[], help=f"some of {','.join(PEERS)}, or all (default: none)"
    )
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 16, 64], help="requests at a time")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per setting (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds per round (default: 3)")
    parser.add_argument("--cold-starts", type=int, default=5, help="starts of the case cold (default: 5)")
    parser.add_argument("--output", type=Path, default=Path("bench-output"), help="where the report goes")
    parser.add_argument("--smoke", action="store_true", help="one short round: proves only that it runs")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds, options.in_flight, options.cold_starts = 1, 1, [4], 1
    if not options.models and options.model not in (None, *WRITERS):
        parser.error(f"--model: expected one of {', '.join(WRITERS)} without --models, received {options.model}")
    return options


if __name__ == "__main__":
    sys.exit(main())
