"""Waiting until all processes of a cluster are there, before TensorFlow connects them.

TensorFlow waits as well, for an hour, and hears neither Ctrl-C nor SIGTERM meanwhile. Here the workers knock at the
chief's port, over and over, and hold the line; when all of them are there, the chief lets them go on, and leaves the
port to TensorFlow.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import time

from training.cluster import Cluster
from training.errors import TrainingError

KNOCK_INTERVAL_S = 0.5
GREETING_TIMEOUT_S = 5.0
_HERE, _GO_ON = b"atelier", b"go on"
_PLACE_BYTES = 4


def meet(cluster: Cluster, timeout_s: float) -> None:
    """Returns once every process of the cluster has called it.

    Raises:
        TrainingError: the chief cannot listen at its port, or one process did not come in time.
    """
    deadline = time.monotonic() + timeout_s
    try:
        missing = _wait_for_workers(cluster, deadline) if cluster.is_chief else _wait_for_chief(cluster, deadline)
    except OSError as error:
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror or error
        raise TrainingError(f"{cluster.name} cannot listen at {cluster.address}: {reason}") from error
    if missing:
        raise TrainingError(
            f"{cluster.name} waited {timeout_s / 60:.0f} minutes, but not all came: {', '.join(missing)}"
        )


def _wait_for_workers(cluster: Cluster, deadline: float) -> list[str]:
    """The addresses of the workers that did not come; empty when they all were let go on."""
    family = {"family": socket.AF_INET6, "dualstack_ipv6": True} if socket.has_dualstack_ipv6() else {}
    with contextlib.ExitStack() as lines:
        # On every interface, as TensorFlow will: the chief's name may be that of a service in front of it.
        server = lines.enter_context(socket.create_server(("", _port(cluster.address)), **family))  # type: ignore[arg-type]
        here: dict[int, socket.socket] = {}
        while len(here) < len(cluster.addresses) - 1:
            server.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                line, _ = server.accept()
            except TimeoutError:
                return [address for place, address in enumerate(cluster.addresses) if place and place not in here]
            place = _greeted(lines.enter_context(line))
            here = {known: other for known, other in here.items() if _is_held(other)}
            if 0 < place < len(cluster.addresses):
                here[place] = line
        for line in here.values():
            line.sendall(_GO_ON)
    return []


def _greeted(line: socket.socket) -> int:
    """The place of who knocks; 0, which is the chief's own, of anything else."""
    line.settimeout(GREETING_TIMEOUT_S)
    try:
        said = line.recv(len(_HERE) + _PLACE_BYTES, socket.MSG_WAITALL)
    except OSError:
        return 0
    return int.from_bytes(said[len(_HERE) :], "big") if said.startswith(_HERE) else 0


def _is_held(line: socket.socket) -> bool:
    """Whether the worker is still there; it says nothing more, so only its end can be read."""
    return not select.select([line], [], [], 0)[0]


def _wait_for_chief(cluster: Cluster, deadline: float) -> list[str]:
    """The chief's address where it did not let this worker go on; empty where it did."""
    chief = cluster.addresses[0]
    host = chief.rpartition(":")[0].strip("[]")
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(OSError), socket.create_connection((host, _port(chief)), timeout=left) as line:
            line.sendall(_HERE + cluster.place.to_bytes(_PLACE_BYTES, "big"))
            if line.recv(len(_GO_ON), socket.MSG_WAITALL) == _GO_ON:
                return []
        time.sleep(KNOCK_INTERVAL_S)
    return [chief]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
