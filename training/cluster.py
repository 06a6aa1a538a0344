"""Which processes train together: what `TF_CONFIG`, set by Kubeflow's TFJob on every machine, says about them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.errors import UsageError

TF_CONFIG = "TF_CONFIG"
CHIEF, WORKER = "chief", "worker"
_EXAMPLE = '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The processes that share every batch, and which of them this one is.

    `addresses` are `host:port`, the chief's first: that is the task called so, or else worker 0. `name` is this one's
    as TensorFlow has it, such as `worker 1`. A process that trains alone is its own chief, and has no address.
    """

    addresses: tuple[str, ...] = ()
    place: int = 0
    name: str = "this process"

    @property
    def has_others(self) -> bool:
        """Whether this process trains together with others."""
        return len(self.addresses) > 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run."""
        return self.place == 0

    @property
    def address(self) -> str:
        """Where this process listens to the others."""
        return self.addresses[self.place]


ALONE = Cluster()


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster:
    """What `TF_CONFIG` says; without it, or where it names nobody, a process alone.

    Raises:
        UsageError: it is not what TensorFlow expects, or names parts that this kind of training does not have.
    """
    text = environment.get(TF_CONFIG)
    if not text:
        return ALONE
    try:
        config = json.loads(text)
        cluster = config.get("cluster") or {}
        return _cluster(cluster, config["task"]) if cluster else ALONE
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f" ({error})" if type(error) is ValueError else ""
        raise UsageError(f"${TF_CONFIG}: expected {_EXAMPLE}, received {text!r}{reason}") from error


def _cluster(cluster: dict[str, list[str]], task: dict[str, Any]) -> Cluster:
    unknown = cluster.keys() - {CHIEF, WORKER}
    if unknown:
        raise ValueError(f"of the jobs only {CHIEF} and {WORKER} can take part, not {', '.join(sorted(unknown))}")
    chiefs, workers = cluster.get(CHIEF, []), cluster.get(WORKER, [])
    if len(chiefs) > 1:
        raise ValueError(f"there are {len(chiefs)} chiefs, expected one")
    addresses = (*chiefs, *workers)
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal()):
            raise ValueError(f"{address!r} is no host:port")
    if len(set(addresses)) < len(addresses):
        raise ValueError("an address is named twice")
    job, index = str(task["type"]), int(task["index"])
    if not 0 <= index < len(cluster[job]):
        raise ValueError(f"there is no {job} {index}")
    return Cluster(addresses, index if job == CHIEF else index + len(chiefs), f"{job} {index}")
