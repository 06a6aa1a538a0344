"""What only the garbage collector would free."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import serving

_OURS = f"{Path(serving.__file__).parent}{os.sep}"


@contextlib.contextmanager
def frames_in_garbage() -> Iterator[list[str]]:
    """The gateway's functions whose frames the block leaves in reference cycles, filled in when the block ends.

    Such a frame is held by an error's traceback and holds the error itself, and with it the request. The collector
    looks so seldom (serving/garbage_collector.py) that large requests would fill the memory before it does.
    """
    found: list[str] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        codes = [one.f_code for one in gc.garbage if isinstance(one, FrameType)]
        found += [code.co_qualname for code in codes if code.co_filename.startswith(_OURS)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
