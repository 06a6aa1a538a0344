"""How a thread that works through millions of values leaves the event loop its turns."""

from __future__ import annotations

import time

VALUES_AT_ONCE = 4096
"""Of strings, about a millisecond's."""
_TURN_S = 1e-4


def give_way() -> None:
    """Lets others have Python's lock, for which they would wait five milliseconds each time else."""
    time.sleep(_TURN_S)
