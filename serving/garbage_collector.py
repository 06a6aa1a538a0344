"""When the garbage collector looks: seldom, because next to nothing of what a gateway makes is garbage in cycles."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Around imports: what they make stays for ever, and the collector would look at all of it again and again.

    That is a tenth of the time of a large import. What is there at the end is never looked at again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def calm_down() -> None:
    """A large JSON body makes millions of objects that are no garbage; looking for some all the while takes longer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
