"""What a Python process of ours is started with that runs a module of ours."""

from __future__ import annotations

import os
import sys

_MEBIBYTE = 1024 * 1024
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(4 * _MEBIBYTE),
    "MALLOC_TRIM_THRESHOLD_": str(128 * _MEBIBYTE),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""glibc's malloc else moves the first up to 32 MiB as large blocks are freed, and then gives next to nothing back after
large answers. The last asks for pages of 2 MiB: 16 MiB that are new are filled in 3 ms, and not in 9, for which all
wait. docs/performance.md; sources: https://man7.org/linux/man-pages/man3/mallopt.3.html and
https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html"""


def command(module: str) -> list[str]:
    """Runs the module, and none of the current folder's in place of others."""
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """Where it finds the modules that this process has, and how it deals with memory, unless the operator says so."""
    told = {name: os.environ.get(name, value) for name, value in _ALLOCATOR.items()}
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **told}
