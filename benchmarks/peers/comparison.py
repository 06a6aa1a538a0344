"""The gateway beside a peer: for each number of requests in flight, the fastest of the peer's settings."""

from __future__ import annotations

from functools import partial

from benchmarks.calls import tfs_grpc
from benchmarks.cases import Case
from benchmarks.clients import WrongAnswerError
from benchmarks.measure import Plan, measure
from benchmarks.model import Model
from benchmarks.peers.registry import Peer
from benchmarks.peers.running import fastest, install, opened, version
from benchmarks.processes import StartError
from benchmarks.report import Report
from benchmarks.servers import GATEWAY, Opening, gateway


def measure_peer(report: Report, peer: Peer, model: Model, plan: Plan) -> None:
    """Installs the peer, and adds what it finds to the report; why there is nothing to find, too.

    The gateway is asked over gRPC. Without a warm-up no settings are tried: the first one is taken.
    """
    try:
        install(peer)
        report.machine[f"peer {peer.package}"] = version(peer)
        for level in plan.in_flight:
            setting = fastest(peer, model, level) if plan.warm_up_seconds else peer.settings[0]
            openings: dict[str, Opening] = {
                GATEWAY: gateway(tfs_grpc, "grpc_port"),
                peer.title: partial(opened, peer, setting),
            }
            case = Case(peer.name, f"gRPC beside {peer.title}'s best protocol", openings)
            measure(report, case, model, plan.at(level))
    except (StartError, OSError, WrongAnswerError) as error:
        report.missing[peer.title] = str(error)
