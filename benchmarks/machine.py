"""What a benchmark ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path


def describe_machine(packages: Sequence[str]) -> dict[str, str]:
    """Processor, cores, memory, system, how busy it is already, and the versions of these packages."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = (line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name"))
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": next(models, platform.machine()),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": f"{os.getloadavg()[0]:.1f}",
        **{name: _version(name) for name in packages},
    }


def in_a_sentence(machine: Mapping[str, str]) -> str:
    """The machine without its packages."""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}, "
        f"Python {machine['python']}; load average before the start {machine['load_before']}."
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
