"""A worker's end with its supervisor's, even where its event loop is blocked or its process is stopped."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
"""Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""


def end_with_parent() -> None:
    """Has the kernel kill this process when the thread ends that has started it.

    A worker that hangs does not notice the end of its control channel, and would keep the ports from the next gateway.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
