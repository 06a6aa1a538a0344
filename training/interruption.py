"""Ctrl-C and SIGTERM, heeded only between steps.

An exception that Python raises in the middle of TensorFlow's own code may be lost there, or leave its memory in
disorder.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

HEED = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """Holds the first signal back until what is yielded is called, or the body has ended; a second one acts at once.

    The signals then do what they did before: mostly, raise KeyboardInterrupt. Those that Python does not handle, and
    all of them in another thread than the main one, are left alone.
    """
    waiting: list[Callable[[], None]] = []

    def heed() -> None:
        if waiting:
            waiting.pop()()

    if threading.current_thread() is not threading.main_thread():
        yield heed
        return
    before = {number: handler for number in HEED if callable(handler := signal.getsignal(number))}

    def hold_back(number: int, frame: FrameType | None) -> None:
        if waiting:
            before[signal.Signals(number)](number, frame)
        waiting.append(lambda: before[signal.Signals(number)](number, None))

    for number in before:
        signal.signal(number, hold_back)
    try:
        yield heed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    heed()
