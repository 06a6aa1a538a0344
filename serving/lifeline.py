"""A process' end with that of the one that has started it, even where it is computing, blocked or stopped."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
"""Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""


def end_with_parent() -> None:
    """Has the kernel kill this process when the thread ends that has started it.

    A worker that hangs does not notice the end of its control channel, and would keep the ports from the next gateway;
    and what reads a large body beside it would go on, for nobody.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
