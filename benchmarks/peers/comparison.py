"""The gateway beside a peer: for each number of requests in flight, the fastest of the settings of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from benchmarks.calls import Call, tfs_grpc
from benchmarks.cases import Case
from benchmarks.clients import WrongAnswerError
from benchmarks.measure import Plan, measure
from benchmarks.model import Model
from benchmarks.peers.registry import Peer, Setting
from benchmarks.peers.running import fastest, install, opened, told, version
from benchmarks.processes import StartError
from benchmarks.report import Report
from benchmarks.servers import GATEWAY, Opening, gateway

_TWO_WORKERS = ("--workers", "2")
_CONNECTIONS = 4
"""To several workers, as each connection stays with one of them."""


def measure_peer(report: Report, peer: Peer, model: Model, plan: Plan) -> None:
    """Installs the peer, and adds what it finds to the report; why there is nothing to find, too.

    The gateway is asked over gRPC. Without a warm-up no settings are tried: the first ones are taken.
    """
    try:
        install(peer)
        report.machine[f"peer {peer.package}"] = version(peer)
        for level in plan.in_flight:
            ours = _gateways(level)
            theirs: dict[Setting, Opening] = {setting: partial(opened, peer, setting) for setting in peer.settings}
            openings = {
                title: choices[fastest(title, choices, model, level) if plan.warm_up_seconds else next(iter(choices))]
                for title, choices in ((GATEWAY, ours), (peer.title, theirs))
            }
            case = Case(peer.name, f"gRPC beside {peer.title}'s best protocol", openings)
            measure(report, case, model, plan.at(level))
    except (StartError, OSError, WrongAnswerError) as error:
        report.missing[peer.title] = str(error)


def _gateways(in_flight: int) -> Mapping[Setting, Opening]:
    """With its defaults; where several requests are in flight, with two workers, too."""
    choices: dict[Setting, Opening] = {(): gateway(tfs_grpc, "grpc_port")}
    if in_flight >= _CONNECTIONS:
        choices[_TWO_WORKERS] = gateway(partial(_over_connections, in_flight), "grpc_port", *_TWO_WORKERS)
    return choices


def _over_connections(in_flight: int, address: str, model: Model) -> Call:
    call = tfs_grpc(address, model)
    return replace(call, by=told(call.by, _TWO_WORKERS), streams=in_flight // _CONNECTIONS)
