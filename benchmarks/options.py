"""Command-line options that several benchmarks have."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection


def names_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """Reads `a,b` or `all`, or nothing: names out of those that are known."""

    def read(text: str) -> list[str]:
        names = list(known) if text == "all" else [name for name in text.split(",") if name]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}, received {unknown[0]}")
        return names

    return read
