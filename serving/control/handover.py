"""What the supervisor hands over to a worker's process, under which names."""

from pathlib import Path

SETTINGS_VARIABLE = "ATELIER_WORKER_SETTINGS"
"""The settings as JSON."""
CONTROL_VARIABLE = "ATELIER_WORKER_CONTROL_FD"
"""The number of the inherited socket; see serving/control/channel.py."""
NUMBER_VARIABLE = "ATELIER_WORKER_NUMBER"
"""Which worker it is, counted from 1; one that is started again keeps its number."""
CORES_VARIABLE = "ATELIER_WORKER_CORES"
"""Its cores, as serving/own_cores.py writes them; empty where it runs on any."""
SHARED_FOLDER_VARIABLE = "ATELIER_SHARED_FOLDER"
"""A folder that all workers of a gateway share for as long as it runs."""
FOLDER_VARIABLE = "ATELIER_WORKER_FOLDER_FD"
"""The number of the inherited descriptor of the folder that relative paths count from."""


def connections_socket(shared: Path, number: int) -> Path:
    """Where worker `number` takes the connections that its Envoy passes on; see serving/connections/."""
    return shared / f"clients-{number}.sock"
