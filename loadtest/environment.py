"""What a load test ran on and against."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from loadtest.target import tls_context

_PACKAGES = ("locust", "gevent", "grpcio", "geventhttpclient", "hdrhistogram")
_TIMEOUT_S = 2.0
_CPUINFO = Path("/proc/cpuinfo")


def describe_environment(url: str, arguments: Sequence[str], ca_file: Path | None = None) -> dict[str, str]:
    """The server, this machine, how busy it is already, the packages that send, and the exact command."""
    models = [
        line.partition(":")[2].strip()
        for line in (_CPUINFO.read_text(encoding="utf-8") if _CPUINFO.is_file() else "").splitlines()
        if line.startswith("model name")
    ]
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "begin": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": _server(url, ca_file),
        "generator's machine": f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"{memory_bytes / 2**30:.0f} GiB, {platform.system()} {platform.release()}",
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in _PACKAGES},
        "command": shlex.join(arguments),
    }


def _server(url: str, ca_file: Path | None) -> str:
    """What the server calls itself, where it says so: the Open Inference Protocol's server metadata."""
    try:
        with urllib.request.urlopen(f"{url}/v2", timeout=_TIMEOUT_S, context=tls_context(ca_file)) as response:  # noqa: S310 -- the user's own address
            document = json.load(response)
        return f"{document['name']} {document['version']} at {url}"
    except (OSError, ValueError, KeyError, TypeError):
        return url
