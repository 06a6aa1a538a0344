"""What a gateway takes of the machine."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.gateway import RunningGateway


def memory_bytes(gateway: RunningGateway) -> int:
    """Resident memory of the process that answers."""
    (pid,) = gateway.process.worker_pids
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
